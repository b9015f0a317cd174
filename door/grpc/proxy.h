#ifndef DOOR_GRPC_PROXY_H_
#define DOOR_GRPC_PROXY_H_

#include <functional>
#include <memory>
#include <string>

#include "base/context.h"
#include "base/status.h"
#include "door/http/upgrade.h"

namespace berth::door {

// Changes the messages of one call on their way. An error ends the call. Its
// functions may block, and each message is given to one of them. Destroyed when
// the call has ended. Single-threaded for calls with one message each way.
class CallRewriter {
 public:
  virtual ~CallRewriter() = default;
  virtual StatusOr<std::string> Request(std::string message) = 0;
  virtual StatusOr<std::string> Response(std::string message) = 0;
};

struct GrpcProxyOptions {
  // The Unix socket of the server; or the answer to every call.
  StatusOr<std::string> target;
  // By a call's path, "/package.Service/Method"; null: the messages pass as
  // they are. May be empty.
  std::function<std::unique_ptr<CallRewriter>(const std::string&)> rewriter;
  // Runs what a rewriter does, on a thread that may block.
  std::function<void(std::function<void()>)> run;
};

// Passes on the gRPC calls of one client, of any service and kind: messages,
// metadata, deadlines, cancellation and the status with its details. gRPC's
// generic callback interface does both halves, since it comes with flow
// control, and with frames that are not what they should be.
//
// Thread-compatible.
class GrpcProxy {
 public:
  explicit GrpcProxy(GrpcProxyOptions options);
  // Waits for the calls, which end with Serve.
  ~GrpcProxy();
  GrpcProxy(const GrpcProxy&) = delete;
  GrpcProxy& operator=(const GrpcProxy&) = delete;

  // Speaks HTTP/2 with the client until it leaves or the context ends; once.
  Status Serve(const Context& ctx, UpgradedConnection& client);

 private:
  class Core;
  const std::unique_ptr<Core> core_;
};

}  // namespace berth::door

#endif  // DOOR_GRPC_PROXY_H_
