#ifndef DOOR_STREAM_WEBSOCKET_H_
#define DOOR_STREAM_WEBSOCKET_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "door/http/http_server.h"
#include "door/http/upgrade.h"

namespace berth::door {

// The server's side of a WebSocket (RFC 6455): frames to messages and back.
// Bytes alone, no socket. Thread-compatible.
class Websocket {
 public:
  // A part of a text or binary message, as it comes: what a client sends at
  // once is never held here.
  struct Piece {
    std::string bytes;
    bool first = false;  // of its message
    bool last = false;
  };

  // INVALID_ARGUMENT if the client breaks the protocol.
  StatusOr<std::vector<Piece>> Receive(std::string_view bytes);
  // The client has sent a close frame: nothing of it counts any more.
  bool closed() const { return closed_; }
  // What pings and a close frame are answered with. A ping that comes before
  // the last answer was taken replaces it (section 5.5.3).
  std::string TakeAnswers();

  static std::string Text(std::string_view message);
  static std::string Binary(std::string_view message);
  static std::string Close();  // 1000, a normal end

 private:
  enum Opcode : uint8_t {
    kContinuation = 0,
    kText = 1,
    kBinary = 2,
    kClose = 8,
    kPing = 9,
    kPong = 10,
  };
  // The frame whose payload is being received.
  struct Head {
    Opcode opcode;
    bool last = false;  // of its message
    uint64_t left = 0;  // of the payload
    std::string mask;
    size_t masked = 0;  // bytes of the payload so far
  };

  std::string_view Rest() const {
    return std::string_view(received_).substr(at_);
  }
  static std::string Frame(Opcode opcode, std::string_view payload);
  StatusOr<bool> TakeSome(std::vector<Piece>& pieces);
  StatusOr<bool> TakeHead();
  bool Take(const Head& head, std::string payload, std::vector<Piece>& pieces);

  std::string received_;
  size_t at_ = 0;  // of what has been taken
  std::optional<Head> head_;
  bool fragmented_ = false;  // the next data frame continues a message
  bool began_ = false;       // a piece of the message has been given out
  bool closed_ = false;
  std::optional<std::string> pong_;
  std::string close_answer_;
};

// Answers a request for a WebSocket and ends HTTP on its connection.
// `protocol`: the one of those that the request names to say in the answer; ""
// for none.
//
// INVALID_ARGUMENT if it is no such request: nothing has been answered then.
StatusOr<UpgradedConnection> AcceptWebsocket(HttpExchange& http,
                                             const std::string& protocol);

// OK, or PERMISSION_DENIED if a browser sends the request for another site's
// page. A page of any site may open a WebSocket to any address that its browser
// reaches, and this is what tells (section 10.2).
Status CheckOrigin(const ServerRequest& request);

}  // namespace berth::door

#endif  // DOOR_STREAM_WEBSOCKET_H_
