#include "door/stream/websocket_channel.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "door/http/upgrade.h"
#include "door/stream/stream.h"
#include "door/stream/websocket.h"

namespace berth::door {
namespace {

class WebsocketChannel final : public StreamChannel {
 public:
  using StreamChannel::StreamChannel;

 protected:
  std::string Encode(Stream /*stream*/, std::string_view bytes) override {
    if (frames_.closed()) return "";
    return frames_.TakeAnswers() + Websocket::Binary(bytes);
  }

  StatusOr<std::optional<ChannelInput>> Decode(
      std::string_view received) override {
    ChannelInput input;
    ASSIGN_OR_RETURN(std::vector<Websocket::Piece> pieces,
                     frames_.Receive(received));
    for (Websocket::Piece& piece : pieces) input.bytes += piece.bytes;
    input.ended = frames_.closed();
    // One answer is enough for many pings: a client that does not read costs
    // no more.
    if (!HasUnsent() || frames_.closed()) PutAnswer(frames_.TakeAnswers());
    return input;
  }

  std::string EncodeEnd(const StreamEnd& /*end*/) override {
    return frames_.closed() ? "" : Websocket::Close();
  }

 private:
  Websocket frames_;
};

}  // namespace

StatusOr<std::unique_ptr<StreamChannel>> OpenWebsocket(HttpExchange& http) {
  RETURN_IF_ERROR(CheckOrigin(http.request()));
  ASSIGN_OR_RETURN(UpgradedConnection client, AcceptWebsocket(http, ""));
  return std::unique_ptr<StreamChannel>(
      std::make_unique<WebsocketChannel>(std::move(client)));
}

}  // namespace berth::door
