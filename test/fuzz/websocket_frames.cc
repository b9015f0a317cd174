// What a client sends on a WebSocket, in two pieces.
#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "base/context.h"
#include "base/unique_fd.h"
#include "door/http/http_server.h"
#include "door/http/upgrade.h"
#include "door/stream/channel.h"
#include "door/stream/websocket_channel.h"
#include "test/fuzz/driver/fuzz_target.h"

namespace {

using namespace berth;

constexpr size_t kMost = 32 << 10;  // what a channel reads at once

// A good handshake, and the server's end of a socket.
class Exchange : public door::HttpExchange {
 public:
  explicit Exchange(int socket) : socket_(socket) {
    request_.headers = {{"upgrade", "websocket"},
                        {"sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="},
                        {"sec-websocket-version", "13"}};
  }
  const door::ServerRequest& request() const override { return request_; }
  StatusOr<std::string> ReadSome(size_t) override { return ""; }
  StatusOr<std::string> ReadBody(size_t) override { return ""; }
  bool body_too_long() const override { return false; }
  void AddHeader(const std::string&, const std::string&) override {}
  Status Respond(int, const std::string&, std::string_view) override {
    return OkStatus();
  }
  Status BeginStream(int, const std::string&) override { return OkStatus(); }
  Status Write(std::string_view) override { return OkStatus(); }
  StatusOr<door::UpgradedConnection> Upgrade(const std::string&) override {
    return door::UpgradedConnection(socket_, "");
  }
  bool answered() const override { return false; }

 private:
  door::ServerRequest request_;
  const int socket_;
};

// False if the client has broken the protocol.
bool Give(door::StreamChannel& channel, int client, std::string_view bytes) {
  if (bytes.empty()) return true;
  FUZZ_CHECK(send(client, bytes.data(), bytes.size(), 0) ==
             static_cast<ssize_t>(bytes.size()));
  const auto input = channel.TryRead();
  if (!input.ok()) return false;
  FUZZ_CHECK(input->has_value() && (*input)->bytes.size() <= bytes.size());
  return true;
}

}  // namespace

FUZZ_TARGET(bytes) {
  int ends[2];
  FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                        ends) == 0);
  const UniqueFd client(ends[0]);
  const UniqueFd server(ends[1]);
  Exchange exchange(server.get());
  const auto channel = door::OpenWebsocket(exchange);
  FUZZ_CHECK(channel.ok());
  const size_t most = std::min(bytes.size(), kMost);
  const size_t half = most / 2;
  const bool good =
      Give(**channel, client.get(), bytes.substr(0, half)) &&
      Give(**channel, client.get(), bytes.substr(half, most - half));
  FUZZ_CHECK((*channel)->Flush(Context::Background()).ok());
  return good;
}
