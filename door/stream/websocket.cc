#include "door/stream/websocket.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <utility>

#include "base/strings.h"

namespace berth::door {
namespace {

// RFC 6455, section 1.3.
constexpr char kGuid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr size_t kMaxControl = 125;  // section 5.5

// What a client's key is answered with.
std::string AcceptOf(const std::string& key) {
  const std::string text = key + kGuid;
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
       digest);
  unsigned char encoded[32];
  const int size = EVP_EncodeBlock(encoded, digest, sizeof(digest));
  return std::string(reinterpret_cast<char*>(encoded),
                     static_cast<size_t>(size));
}

// "http://example.com:80/x" -> "example.com", "[::1]:2376" -> "[::1]".
std::string HostIn(std::string_view text) {
  const size_t scheme = text.find("://");
  if (scheme != std::string_view::npos) text.remove_prefix(scheme + 3);
  text = text.substr(0, text.find('/'));
  const size_t colon = text.rfind(':');
  if (colon != std::string_view::npos &&
      text.find(']', colon) == std::string_view::npos) {
    text = text.substr(0, colon);
  }
  return Lower(std::string(text));
}

}  // namespace

std::string Websocket::Frame(Opcode opcode, std::string_view payload) {
  std::string frame(1, static_cast<char>(0x80 | opcode));
  const auto append = [&](int bytes) {
    for (int i = bytes - 1; i >= 0; --i) {
      frame += static_cast<char>(uint64_t{payload.size()} >> (8 * i));
    }
  };
  if (payload.size() < 126) {
    append(1);
  } else if (payload.size() <= UINT16_MAX) {
    frame += '\x7e';
    append(2);
  } else {
    frame += '\x7f';
    append(8);
  }
  frame += payload;
  return frame;
}

std::string Websocket::Text(std::string_view message) {
  return Frame(kText, message);
}

std::string Websocket::Binary(std::string_view message) {
  return Frame(kBinary, message);
}

std::string Websocket::Close() { return Frame(kClose, "\x03\xe8"); }

StatusOr<std::vector<Websocket::Piece>> Websocket::Receive(
    std::string_view bytes) {
  std::vector<Piece> pieces;
  if (closed_) return pieces;
  received_ += bytes;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, TakeSome(pieces));
    if (more) continue;
    received_.erase(0, std::exchange(at_, 0));
    return pieces;
  }
}

std::string Websocket::TakeAnswers() {
  std::string answers;
  if (pong_.has_value()) {
    answers = Frame(kPong, *std::exchange(pong_, std::nullopt));
  }
  return answers + std::exchange(close_answer_, "");
}

// Of what was received, a head or a part of a payload. False if more has to
// come first.
StatusOr<bool> Websocket::TakeSome(std::vector<Piece>& pieces) {
  if (!head_.has_value()) return TakeHead();
  const bool control = head_->opcode >= kClose;
  if (control && Rest().size() < head_->left) return false;
  if (Rest().empty() && head_->left > 0) return false;
  const size_t size =
      static_cast<size_t>(std::min<uint64_t>(head_->left, Rest().size()));
  std::string payload(Rest().substr(0, size));
  at_ += size;
  for (char& c : payload) c ^= head_->mask[head_->masked++ % 4];
  head_->left -= size;
  const bool more = Take(*head_, std::move(payload), pieces);
  if (head_->left == 0) head_.reset();
  return more;
}

// False if nothing may come after it.
bool Websocket::Take(const Head& head, std::string payload,
                     std::vector<Piece>& pieces) {
  if (head.opcode == kPing) {
    pong_ = std::move(payload);
  } else if (head.opcode == kClose) {
    close_answer_ = Frame(kClose, payload.substr(0, 2));
    closed_ = true;
    return false;
  } else if (head.opcode < kClose) {
    const bool last = head.last && head.left == 0;
    pieces.push_back({std::move(payload), !began_, last});
    began_ = !last;
  }
  return true;
}

StatusOr<bool> Websocket::TakeHead() {
  const std::string_view rest = Rest();
  if (rest.size() < 2) return false;
  const auto byte = [rest](size_t i) { return static_cast<uint8_t>(rest[i]); };
  const auto opcode = static_cast<Opcode>(byte(0) & 0x0f);
  const bool last = (byte(0) & 0x80) != 0;
  uint64_t length = byte(1) & 0x7f;
  const size_t extra = length == 127 ? 8 : length == 126 ? 2 : 0;
  if ((byte(0) & 0x70) != 0 || (byte(1) & 0x80) == 0) {
    return InvalidArgument(
        "websocket: a frame has a bit set that it must not have, or no mask");
  }
  const bool control = opcode >= kClose;
  if (opcode > kPong || (opcode > kBinary && !control) ||
      (control && (length > kMaxControl || !last)) ||
      (!control && (opcode == kContinuation) != fragmented_)) {
    return InvalidArgument("websocket: a frame of type " +
                           std::to_string(opcode) + " is out of place");
  }
  if (rest.size() < 2 + extra + 4) return false;
  if (extra > 0) length = 0;
  for (size_t i = 0; i < extra; ++i) length = length << 8 | byte(2 + i);
  if (length > INT64_MAX) {
    return InvalidArgument("websocket: a frame of a length that cannot be");
  }
  head_ = Head{opcode, last, length, std::string(rest.substr(2 + extra, 4))};
  at_ += 2 + extra + 4;
  if (!control) fragmented_ = !last;
  return true;
}

StatusOr<UpgradedConnection> AcceptWebsocket(HttpExchange& http,
                                             const std::string& protocol) {
  const ServerRequest& request = http.request();
  const std::string key = request.Header("sec-websocket-key");
  if (Lower(request.Header("upgrade")) != "websocket" || key.size() != 24) {
    return InvalidArgument("not a request for a websocket");
  }
  if (request.Header("sec-websocket-version") != "13") {
    return InvalidArgument("websocket: the version must be 13");
  }
  http.AddHeader("Sec-WebSocket-Accept", AcceptOf(key));
  if (!protocol.empty()) http.AddHeader("Sec-WebSocket-Protocol", protocol);
  return http.Upgrade("");
}

Status CheckOrigin(const ServerRequest& request) {
  const std::string origin = request.Header("origin");
  if (origin.empty() || HostIn(origin) == HostIn(request.Header("host"))) {
    return OkStatus();
  }
  return Error(StatusCode::kPermissionDenied,
               "websocket: the origin is " + Quoted(origin));
}

}  // namespace berth::door
