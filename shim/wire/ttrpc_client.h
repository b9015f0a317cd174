#ifndef SHIM_WIRE_TTRPC_CLIENT_H_
#define SHIM_WIRE_TTRPC_CLIENT_H_

#include <google/protobuf/message_lite.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/context.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/thread.h"
#include "base/unique_fd.h"

namespace berth::shim {

class FrameParser;

// The calling side of one ttrpc connection. Calls of many threads share it; a
// slow one holds nobody up. When the connection is lost every call, waiting or
// new, is UNAVAILABLE. One thread of its own reads.
//
// Thread-safe; destroy it when no call is under way.
class TtrpcClient {
 public:
  // `name_space` goes with every call. A server that is too busy to take the
  // connection is waited for.
  static StatusOr<std::unique_ptr<TtrpcClient>> Connect(const Context& ctx,
                                                        const std::string& path,
                                                        std::string name_space);
  ~TtrpcClient();
  TtrpcClient(const TtrpcClient&) = delete;
  TtrpcClient& operator=(const TtrpcClient&) = delete;

  // The connection is lost, too, when this process has ended: its end of the
  // socket may have been inherited by another. `process`: a pidfd, which must
  // outlive this object.
  Status LoseWith(int process);

  // Sends a message and waits for the answer's payload.
  StatusOr<std::string> Call(const Context& ctx, const std::string& service,
                             const std::string& method,
                             const std::string& payload);

  // The same without a wait: `told` gets the answer, on the reading thread,
  // which it must not hold up, or here if the call cannot be sent. It is not
  // called once this object's end has begun.
  using Told = std::function<void(StatusOr<std::string> answer)>;
  void CallLater(const std::string& service, const std::string& method,
                 const std::string& payload, Told told);
  // `told` hears why when the connection is lost, on the reading thread, or
  // here if it is already. Once, and not for this object's own end.
  void WhenLost(std::function<void(const Status& why)> told) EXCLUDES(mutex_);

  template <typename Response>
  StatusOr<Response> Call(const Context& ctx, const std::string& service,
                          const std::string& method,
                          const google::protobuf::MessageLite& request) {
    ASSIGN_OR_RETURN(const std::string payload,
                     Call(ctx, service, method, request.SerializeAsString()));
    Response response;
    if (!response.ParseFromString(payload)) {
      return DataLoss(method + ": the shim's answer cannot be parsed");
    }
    return response;
  }

 private:
  // A caller's place to wait: `done` becomes readable with the answer; or
  // `told` is called with it.
  struct Waiter {
    UniqueFd done;
    StatusOr<std::string> answer{std::string()};
    Told told;
  };

  TtrpcClient(UniqueFd socket, UniqueFd events, std::string name_space);
  StatusOr<uint32_t> SendRequest(const Context& ctx, const std::string& service,
                                 const std::string& method,
                                 const std::string& payload,
                                 const std::shared_ptr<Waiter>& waiter)
      EXCLUDES(write_mutex_);
  StatusOr<uint32_t> Register(const std::shared_ptr<Waiter>& waiter)
      EXCLUDES(mutex_);
  // Whether it had no answer yet.
  bool Forget(uint32_t stream) EXCLUDES(mutex_);
  Status Send(const Context& ctx, const std::string& frame)
      REQUIRES(write_mutex_);
  void Read();
  // All that has come; an error at the end of the connection.
  Status ReadSome(FrameParser& parser);
  void Deliver(uint32_t stream, StatusOr<std::string> answer) EXCLUDES(mutex_);
  void Lose(const Status& why) EXCLUDES(mutex_);

  const UniqueFd socket_;
  const UniqueFd events_;  // epoll: of the socket and of the process
  const std::string name_space_;
  Mutex write_mutex_;  // one frame at a time; taken before mutex_
  Mutex mutex_;
  Status lost_ GUARDED_BY(mutex_);
  bool ending_ GUARDED_BY(mutex_) = false;
  std::function<void(const Status&)> when_lost_ GUARDED_BY(mutex_);
  uint32_t next_stream_ GUARDED_BY(mutex_) = 1;
  std::map<uint32_t, std::shared_ptr<Waiter>> waiters_ GUARDED_BY(mutex_);
  Thread reader_;
};

}  // namespace berth::shim

#endif  // SHIM_WIRE_TTRPC_CLIENT_H_
