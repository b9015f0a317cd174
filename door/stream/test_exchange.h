#ifndef DOOR_STREAM_TEST_EXCHANGE_H_
#define DOOR_STREAM_TEST_EXCHANGE_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"
#include "door/http/http_server.h"
#include "door/http/upgrade.h"

namespace berth::door {

// A request for an upgrade, and the connection that it becomes. For tests;
// single-threaded.
class TestExchange : public HttpExchange {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;

  explicit TestExchange(Headers headers) {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    client_.reset(ends[0]);
    server_.reset(ends[1]);
    EXPECT_EQ(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    const timeval limit = {20, 0};
    setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    request_.headers = std::move(headers);
  }
  static Headers Spdy(const std::string& protocols) {
    return {{"connection", "Upgrade"},
            {"upgrade", "SPDY/3.1"},
            {"x-stream-protocol-version", protocols}};
  }
  // `protocols` may be empty.
  static Headers Websocket(const std::string& protocols) {
    Headers headers = {{"connection", "Upgrade"},
                       {"upgrade", "websocket"},
                       {"sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="},
                       {"sec-websocket-version", "13"}};
    if (!protocols.empty()) {
      headers.emplace_back("sec-websocket-protocol", protocols);
    }
    return headers;
  }

  void SetHeader(const std::string& name, const std::string& value) {
    for (auto& [key, old] : request_.headers) {
      if (key == name) old = value;
    }
  }
  // Several of one name are one text, separated by commas.
  const std::map<std::string, std::string>& answer() const { return answer_; }

  // The client's end of the connection, which blocks.
  int client() const { return client_.get(); }
  void Leave() { client_.reset(); }
  void Send(std::string_view bytes) const {
    EXPECT_EQ(send(client(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // What has been sent to the client by now.
  std::string Received() const {
    std::string all;
    char bytes[65536];
    ssize_t n;
    while ((n = recv(client(), bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
      all.append(bytes, static_cast<size_t>(n));
    }
    return all;
  }

  const ServerRequest& request() const override { return request_; }
  StatusOr<std::string> ReadSome(size_t) override { return ""; }
  StatusOr<std::string> ReadBody(size_t) override { return ""; }
  bool body_too_long() const override { return false; }
  void AddHeader(const std::string& name, const std::string& value) override {
    std::string& text = answer_[name];
    text += (text.empty() ? "" : ",") + value;
  }
  Status Respond(int, const std::string&, std::string_view) override {
    return OkStatus();
  }
  Status BeginStream(int, const std::string&) override { return OkStatus(); }
  Status Write(std::string_view) override { return OkStatus(); }
  StatusOr<UpgradedConnection> Upgrade(const std::string&) override {
    return UpgradedConnection(server_.get(), "");
  }
  bool answered() const override { return false; }

 private:
  ServerRequest request_;
  std::map<std::string, std::string> answer_;
  UniqueFd client_;
  UniqueFd server_;
};

// A WebSocket client's frame with the mask 1, 2, 3, 4; at most 125 bytes.
inline std::string Masked(int first, std::string payload) {
  std::string frame(1, static_cast<char>(first));
  EXPECT_LT(payload.size(), 126u);
  frame += static_cast<char>(0x80 | payload.size());
  frame += "\1\2\3\4";
  for (size_t i = 0; i < payload.size(); ++i) {
    payload[i] ^= static_cast<char>(i % 4 + 1);
  }
  return frame + payload;
}

}  // namespace berth::door

#endif  // DOOR_STREAM_TEST_EXCHANGE_H_
