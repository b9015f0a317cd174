#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/base64.h"
#include "door/stream/forward_channel.h"
#include "door/stream/websocket.h"

namespace berth::door {
namespace {

// A message in base64 is unpacked when all of it is there.
constexpr size_t kMaxText = 1 << 20;

// The older way: one connection for each port that the request names, with the
// channels 2i for data and 2i + 1 for errors. The first byte of a message is
// its channel. There is no word for the end of one connection.
class WebsocketForward final : public ForwardChannel {
 public:
  WebsocketForward(UpgradedConnection client, bool base64,
                   const std::vector<uint16_t>& ports)
      : ForwardChannel(std::move(client)),
        base64_(base64),
        ports_(ports),
        left_(ports.size()) {}

  Events Begin() override {
    Events events;
    for (uint32_t i = 0; i < ports_.size(); ++i) {
      const char port[] = {static_cast<char>(ports_[i] & 0xff),
                           static_cast<char>(ports_[i] >> 8)};
      SendMessage(2 * i, std::string_view(port, 2));
      SendMessage(2 * i + 1, std::string_view(port, 2));
      events.push_back({ForwardEvent::Type::kOpened, i, ports_[i], ""});
    }
    return events;
  }
  bool Done() const override { return left_ == 0; }

  void Put(uint32_t id, std::string_view bytes) override {
    SendMessage(2 * id, bytes);
  }
  // The client takes the end of the last connection for that of all. Nobody
  // could tell it that this one takes no more either, so it does not.
  void End(uint32_t id) override { Drop(id); }
  void Drop(uint32_t id) override {
    if (std::exchange(ports_[id], uint16_t{0}) == 0) return;
    if (--left_ == 0) Send(Websocket::Close());
  }
  void Fail(uint32_t id, std::string_view why) override {
    SendMessage(2 * id + 1, why);
    Drop(id);
  }

 protected:
  StatusOr<Events> Decode(std::string_view received) override {
    ASSIGN_OR_RETURN(std::vector<Websocket::Piece> pieces,
                     frames_.Receive(received));
    if (frames_.closed()) return Unavailable("the client has gone");
    Events events;
    for (Websocket::Piece& piece : pieces) {
      RETURN_IF_ERROR(base64_ ? TakeText(piece, events)
                              : TakeBytes(piece, events));
    }
    if (!HasUnsent()) Send(frames_.TakeAnswers());
    return events;
  }

 private:
  void SendMessage(uint32_t channel, std::string_view bytes) {
    if (base64_) {
      Send(Websocket::Text(static_cast<char>('0' + channel) +
                           Base64Encode(bytes)));
    } else {
      Send(Websocket::Binary(static_cast<char>(channel) + std::string(bytes)));
    }
  }

  Status TakeBytes(const Websocket::Piece& piece, Events& events) {
    std::string_view bytes = piece.bytes;
    if (piece.first) channel_.reset();
    if (!channel_.has_value() && !bytes.empty()) {
      channel_ = static_cast<uint8_t>(bytes[0]);
      bytes.remove_prefix(1);
    }
    if (channel_.has_value()) Give(*channel_, bytes, events);
    return OkStatus();
  }

  Status TakeText(const Websocket::Piece& piece, Events& events) {
    text_ += piece.bytes;
    if (text_.size() > kMaxText) {
      return ResourceExhausted("websocket: a text of more than " +
                               std::to_string(kMaxText) + " bytes");
    }
    if (!piece.last) return OkStatus();
    const std::string text = std::exchange(text_, "");
    if (text.empty()) return OkStatus();
    ASSIGN_OR_RETURN(const std::string bytes,
                     Base64Decode(std::string_view(text).substr(1)));
    Give(static_cast<uint8_t>(text[0] - '0'), bytes, events);
    return OkStatus();
  }

  void Give(uint8_t channel, std::string_view bytes, Events& events) {
    const uint32_t id = channel / 2;
    if (channel % 2 != 0 || id >= ports_.size() || bytes.empty()) return;
    events.push_back({ForwardEvent::Type::kData, id, 0, std::string(bytes)});
  }

  const bool base64_;
  std::vector<uint16_t> ports_;  // 0: its connection is over
  size_t left_;
  Websocket frames_;
  std::optional<uint8_t> channel_;  // of the message that is coming
  std::string text_;                // of such a message, in base64
};

}  // namespace

std::unique_ptr<ForwardChannel> NewWebsocketForward(
    UpgradedConnection client, bool base64,
    const std::vector<uint16_t>& ports) {
  return std::make_unique<WebsocketForward>(std::move(client), base64, ports);
}

}  // namespace berth::door
