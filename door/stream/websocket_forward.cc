#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "door/stream/forward_channel.h"
#include "door/stream/numbered_messages.h"
#include "door/stream/websocket.h"

namespace berth::door {
namespace {

// The older way: one connection for each port that the request names, with the
// channels 2i for data and 2i + 1 for errors. The first byte of a message is
// its channel. There is no word for the end of one connection.
class WebsocketForward final : public ForwardChannel {
 public:
  WebsocketForward(UpgradedConnection client, bool base64,
                   const std::vector<uint16_t>& ports)
      : ForwardChannel(std::move(client)),
        messages_(base64),
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
    for (const Websocket::Piece& piece : pieces) {
      ASSIGN_OR_RETURN(const auto part, messages_.Take(piece));
      if (part.has_value()) Give(part->channel, part->bytes, events);
    }
    if (!HasUnsent()) Send(frames_.TakeAnswers());
    return events;
  }

 private:
  void SendMessage(uint32_t channel, std::string_view bytes) {
    Send(messages_.Pack(static_cast<uint8_t>(channel), bytes));
  }

  void Give(uint8_t channel, std::string_view bytes, Events& events) {
    const uint32_t id = channel / 2;
    if (channel % 2 != 0 || id >= ports_.size() || bytes.empty()) return;
    events.push_back({ForwardEvent::Type::kData, id, 0, std::string(bytes)});
  }

  NumberedMessages messages_;
  std::vector<uint16_t> ports_;  // 0: its connection is over
  size_t left_;
  Websocket frames_;
};

}  // namespace

std::unique_ptr<ForwardChannel> NewWebsocketForward(
    UpgradedConnection client, bool base64,
    const std::vector<uint16_t>& ports) {
  return std::make_unique<WebsocketForward>(std::move(client), base64, ports);
}

}  // namespace berth::door
