#include "door/stream/websocket_channel.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/strings.h"
#include "door/http/upgrade.h"
#include "door/stream/stream.h"

namespace berth::door {
namespace {

// RFC 6455, section 1.3.
constexpr char kGuid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr size_t kMaxControl = 125;  // section 5.5

enum Opcode : uint8_t {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10,
};

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

std::string FrameOf(Opcode opcode, std::string_view payload) {
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

class WebsocketChannel final : public StreamChannel {
 public:
  using StreamChannel::StreamChannel;

 protected:
  std::string Encode(Stream /*stream*/, std::string_view bytes) override {
    return closed_ ? "" : TakePong() + FrameOf(kBinary, bytes);
  }

  StatusOr<std::optional<ChannelInput>> Decode(
      const std::string& received) override {
    ChannelInput input;
    input.ended = received.empty() || closed_;
    if (input.ended) return input;
    received_ += received;
    while (true) {
      ASSIGN_OR_RETURN(const bool more, TakeSome(input));
      if (!more) break;
    }
    if (pong_.has_value() && !HasUnsent()) PutAnswer(TakePong());
    return input;
  }

  std::string EncodeEnd(std::optional<int> /*exit_code*/) override {
    return closed_ ? "" : FrameOf(kClose, "\x03\xe8");  // 1000, normal
  }

 private:
  // The frame whose payload is being received.
  struct Head {
    Opcode opcode;
    uint64_t left;  // of the payload
    std::string mask;
    size_t masked = 0;  // bytes of the payload so far
  };

  // Of what was received, a head or a part of a payload. False if more has to
  // come first.
  StatusOr<bool> TakeSome(ChannelInput& input) {
    if (!head_.has_value()) return TakeHead();
    const bool control = head_->opcode >= kClose;
    if (control && received_.size() < head_->left) return false;
    if (received_.empty() && head_->left > 0) return false;
    const size_t size =
        static_cast<size_t>(std::min<uint64_t>(head_->left, received_.size()));
    std::string payload = received_.substr(0, size);
    received_.erase(0, size);
    for (char& c : payload) c ^= head_->mask[head_->masked++ % 4];
    head_->left -= size;
    const Opcode opcode = head_->opcode;
    if (head_->left == 0) head_.reset();
    return Take(opcode, payload, input);
  }

  // False if nothing may come after it.
  bool Take(Opcode opcode, const std::string& payload, ChannelInput& input) {
    if (opcode == kPing) {
      pong_ = payload;
    } else if (opcode == kClose) {
      PutAnswer(FrameOf(kClose, payload.substr(0, 2)));
      closed_ = true;
      input.ended = true;
      return false;
    } else if (opcode < kClose) {
      input.bytes += payload;
    }
    return true;
  }

  StatusOr<bool> TakeHead() {
    if (received_.size() < 2) return false;
    const auto byte = [this](size_t i) {
      return static_cast<uint8_t>(received_[i]);
    };
    const auto opcode = static_cast<Opcode>(byte(0) & 0x0f);
    const bool last = (byte(0) & 0x80) != 0;
    uint64_t length = byte(1) & 0x7f;
    const size_t extra = length == 127 ? 8 : length == 126 ? 2 : 0;
    if ((byte(0) & 0x70) != 0 || (byte(1) & 0x80) == 0) {
      return InvalidArgument(
          "websocket: a frame has a bit set that it must "
          "not have, or no mask");
    }
    const bool control = opcode >= kClose;
    if (opcode > kPong || (opcode > kBinary && !control) ||
        (control && (length > kMaxControl || !last)) ||
        (!control && (opcode == kContinuation) != fragmented_)) {
      return InvalidArgument("websocket: a frame of type " +
                             std::to_string(opcode) + " is out of place");
    }
    if (received_.size() < 2 + extra + 4) return false;
    if (extra > 0) length = 0;
    for (size_t i = 0; i < extra; ++i) length = length << 8 | byte(2 + i);
    if (length > INT64_MAX) {
      return InvalidArgument("websocket: a frame of a length that cannot be");
    }
    head_ = Head{opcode, length, received_.substr(2 + extra, 4)};
    received_.erase(0, 2 + extra + 4);
    if (!control) fragmented_ = !last;
    return true;
  }

  std::string TakePong() {
    if (!pong_.has_value()) return "";
    return FrameOf(kPong, *std::exchange(pong_, std::nullopt));
  }

  std::string received_;
  std::optional<Head> head_;
  bool fragmented_ = false;  // the next data frame continues a message
  bool closed_ = false;
  // To the last ping that has no answer yet. One answer is enough for many
  // (section 5.5.3): a client that does not read costs no more.
  std::optional<std::string> pong_;
};

}  // namespace

StatusOr<std::unique_ptr<StreamChannel>> OpenWebsocket(HttpExchange& http) {
  const ServerRequest& request = http.request();
  const std::string key = request.Header("sec-websocket-key");
  if (Lower(request.Header("upgrade")) != "websocket" || key.size() != 24) {
    return InvalidArgument("not a request for a websocket");
  }
  if (request.Header("sec-websocket-version") != "13") {
    return InvalidArgument("websocket: the version must be 13");
  }
  // A page of any site may open one to any address that its browser reaches,
  // and this is what tells (section 10.2).
  const std::string origin = request.Header("origin");
  if (!origin.empty() && HostIn(origin) != HostIn(request.Header("host"))) {
    return Error(StatusCode::kPermissionDenied,
                 "websocket: the origin is " + Quoted(origin));
  }
  http.AddHeader("Sec-WebSocket-Accept", AcceptOf(key));
  ASSIGN_OR_RETURN(UpgradedConnection client, http.Upgrade(""));
  return std::unique_ptr<StreamChannel>(
      std::make_unique<WebsocketChannel>(std::move(client)));
}

}  // namespace berth::door
