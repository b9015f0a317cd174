#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "door/stream/command_channel.h"
#include "door/stream/command_status.h"
#include "door/stream/numbered_messages.h"
#include "door/stream/protocols.h"
#include "door/stream/terminal_sizes.h"
#include "door/stream/websocket.h"

namespace berth::door {
namespace {

// The first byte of a message.
constexpr uint8_t kIn = 0;
constexpr uint8_t kError = 3;
constexpr uint8_t kResize = 4;
constexpr uint8_t kClose = 255;  // version 5: the next byte is the one to close

class WebsocketCommand final : public StreamChannel {
 public:
  WebsocketCommand(UpgradedConnection client, const CommandStreams& streams,
                   const std::string& protocol)
      : StreamChannel(std::move(client)),
        messages_(protocol.find("base64.") != std::string::npos),
        version_(protocol[0] == 'v' ? protocol[1] - '0' : 1) {
    // Tells the client that its request has been heard.
    const uint8_t first = streams.out ? 1 : streams.err ? 2 : kError;
    PutAnswer(messages_.Pack(first, ""));
  }

 protected:
  std::string Encode(Stream stream, std::string_view bytes) override {
    return frames_.TakeAnswers() +
           messages_.Pack(static_cast<uint8_t>(stream), bytes);
  }

  StatusOr<std::optional<ChannelInput>> Decode(
      std::string_view received) override {
    ASSIGN_OR_RETURN(std::vector<Websocket::Piece> pieces,
                     frames_.Receive(received));
    ChannelInput input;
    for (const Websocket::Piece& piece : pieces) {
      ASSIGN_OR_RETURN(const auto part, messages_.Take(piece));
      if (part.has_value()) Give(part->channel, part->bytes, input);
    }
    if (frames_.closed()) return Unavailable("the client has gone");
    if (!HasUnsent()) PutAnswer(frames_.TakeAnswers());
    return input;
  }

  std::string EncodeEnd(const StreamEnd& end) override {
    const std::string text =
        version_ >= 4 ? CommandStatus(end) : CommandErrorText(end);
    return (text.empty() ? "" : messages_.Pack(kError, text)) +
           Websocket::Close();
  }

 private:
  void Give(uint8_t channel, std::string_view bytes, ChannelInput& input) {
    if (channel == kIn && !ended_) {
      input.bytes += bytes;
    } else if (channel == kResize) {
      if (const auto size = sizes_.Take(bytes)) input.size = size;
    } else if (channel == kClose && version_ >= 5 && !bytes.empty()) {
      ended_ = ended_ || static_cast<uint8_t>(bytes[0]) == kIn;
      input.ended = ended_;
    }
  }

  NumberedMessages messages_;
  const int version_;
  Websocket frames_;
  bool ended_ = false;  // its input
  TerminalSizes sizes_;
};

}  // namespace

StatusOr<std::unique_ptr<StreamChannel>> OpenWebsocketCommand(
    const Context& ctx, HttpExchange& http, const CommandStreams& streams) {
  ASSIGN_OR_RETURN(
      const std::string protocol,
      ChooseWebsocketProtocol(http.request(),
                              {"", "v5.channel.k8s.io", "v4.channel.k8s.io",
                               "v4.base64.channel.k8s.io", "channel.k8s.io",
                               "base64.channel.k8s.io"}));
  ASSIGN_OR_RETURN(UpgradedConnection client, AcceptWebsocket(http, protocol));
  client.SpeakAtOnce();
  auto channel =
      std::make_unique<WebsocketCommand>(std::move(client), streams, protocol);
  RETURN_IF_ERROR(channel->Flush(ctx));
  return std::unique_ptr<StreamChannel>(std::move(channel));
}

}  // namespace berth::door
