#ifndef SHIM_CLIENT_SHIM_CONNECTION_H_
#define SHIM_CLIENT_SHIM_CONNECTION_H_

#include <google/protobuf/message_lite.h>

#include <memory>
#include <string>

#include "api/shim/wire.pb.h"
#include "base/context.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "shim/wire/ttrpc_client.h"

namespace berth::shim {

// What the handles to one shim and its processes share. Thread-safe.
struct ShimConnection {
  // Pidfd of the shim, which the client watches. Never null; who is to end the
  // shim may keep it longer than the connection.
  std::shared_ptr<UniqueFd> process = std::make_shared<UniqueFd>();
  std::unique_ptr<TtrpcClient> client;
  std::string task_service;

  template <typename Response>
  StatusOr<Response> Task(const Context& ctx, const char* method,
                          const google::protobuf::MessageLite& request) {
    return client->Call<Response>(ctx, task_service, method, request);
  }
  // A call that answers nothing.
  Status Do(const Context& ctx, const std::string& service, const char* method,
            const google::protobuf::MessageLite& request) {
    return client->Call<wire::Empty>(ctx, service, method, request).status();
  }
};

}  // namespace berth::shim

#endif  // SHIM_CLIENT_SHIM_CONNECTION_H_
