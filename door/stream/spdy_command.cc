#include <array>
#include <string>
#include <utility>
#include <vector>

#include "door/stream/command_channel.h"
#include "door/stream/command_status.h"
#include "door/stream/protocols.h"
#include "door/stream/spdy_session.h"
#include "door/stream/terminal_sizes.h"

namespace berth::door {
namespace {

constexpr size_t kMaxStreams = 8;

// Streams by what they carry, which is their header "streamType".
enum Role { kError, kIn, kOut, kErr, kResize, kRoles };
constexpr const char* kNames[kRoles] = {"error", "stdin", "stdout", "stderr",
                                        "resize"};

class SpdyCommand final : public StreamChannel {
 public:
  SpdyCommand(UpgradedConnection client, const CommandStreams& streams,
              int version)
      : StreamChannel(std::move(client)),
        session_(kMaxStreams),
        version_(version) {
    wanted_ = {true, streams.in, streams.out, streams.err,
               streams.tty && version >= 3};
  }

  Status AwaitStreams(const Context& ctx) {
    while (true) {
      bool all = true;
      for (int role = 0; role < kRoles; ++role) {
        all = all && (!wanted_[role] || ids_[role] != 0);
      }
      if (all) return OkStatus();
      RETURN_IF_ERROR(ReadAhead(ctx));
    }
  }

  void Took(size_t bytes) override {
    session_.Took(ids_[kIn], bytes);
    PutAnswer(session_.TakeOutput());
  }

 protected:
  std::string Encode(Stream stream, std::string_view bytes) override {
    session_.Send(IdOf(stream), bytes);
    return session_.TakeOutput();
  }

  bool HoldsBack(Stream stream) const override {
    return session_.HoldsBack(IdOf(stream));
  }

  StatusOr<std::optional<ChannelInput>> Decode(
      std::string_view received) override {
    ASSIGN_OR_RETURN(const std::vector<SpdyEvent> events,
                     session_.Receive(received));
    ChannelInput input;
    for (const SpdyEvent& event : events) {
      RETURN_IF_ERROR(Apply(event, input));
    }
    PutAnswer(session_.TakeOutput());
    return input;
  }

  std::string EncodeEnd(const StreamEnd& end) override {
    session_.End(ids_[kOut]);
    session_.End(ids_[kErr]);
    session_.Send(ids_[kError],
                  version_ >= 4 ? CommandStatus(end) : CommandErrorText(end));
    session_.End(ids_[kError]);
    // A client waits for the end of its own stream, too.
    session_.End(ids_[kIn]);
    session_.End(ids_[kResize]);
    session_.PushAll();
    return session_.TakeOutput();
  }

 private:
  uint32_t IdOf(Stream stream) const {
    return ids_[stream == Stream::kStderr ? kErr : kOut];
  }

  Status Apply(const SpdyEvent& event, ChannelInput& input) {
    const bool in = event.stream == ids_[kIn];
    switch (event.type) {
      case SpdyEvent::Type::kOpened:
        Assign(event);
        return OkStatus();
      case SpdyEvent::Type::kData:
        if (in) {
          input.bytes += event.bytes;
          return OkStatus();
        }
        if (event.stream == ids_[kResize]) {
          if (const auto size = sizes_.Take(event.bytes)) input.size = size;
        }
        session_.Took(event.stream, event.bytes.size());
        return OkStatus();
      case SpdyEvent::Type::kEnded:
        input.ended = input.ended || in;
        return OkStatus();
      case SpdyEvent::Type::kReset:
        input.ended = input.ended || in;
        if (event.stream != ids_[kError]) return OkStatus();
        [[fallthrough]];
      case SpdyEvent::Type::kGoAway:
        return Unavailable("the client has gone");
    }
    return OkStatus();
  }

  void Assign(const SpdyEvent& event) {
    const std::string name = event.Header("streamtype");
    for (int role = 0; role < kRoles; ++role) {
      if (name != kNames[role] || !wanted_[role] || ids_[role] != 0) continue;
      ids_[role] = event.stream;
      return;
    }
    session_.Reset(event.stream);
  }

  SpdySession session_;
  const int version_;
  std::array<bool, kRoles> wanted_ = {};
  std::array<uint32_t, kRoles> ids_ = {};  // 0 if not there
  TerminalSizes sizes_;
};

}  // namespace

StatusOr<std::unique_ptr<StreamChannel>> OpenSpdyCommand(
    const Context& ctx, HttpExchange& http, const CommandStreams& streams) {
  ASSIGN_OR_RETURN(
      const std::string protocol,
      ChooseSpdyProtocol(
          http, {"v5.channel.k8s.io", "v4.channel.k8s.io", "v3.channel.k8s.io",
                 "v2.channel.k8s.io", "channel.k8s.io"}));
  const int version = protocol[0] == 'v' ? protocol[1] - '0' : 1;
  ASSIGN_OR_RETURN(UpgradedConnection client, http.Upgrade(""));
  // The client speaks first, and so has read the head.
  client.SpeakAtOnce();
  auto channel =
      std::make_unique<SpdyCommand>(std::move(client), streams, version);
  RETURN_IF_ERROR_AS(channel->AwaitStreams(ctx), "wait for the streams");
  RETURN_IF_ERROR(channel->Flush(ctx));
  return std::unique_ptr<StreamChannel>(std::move(channel));
}

}  // namespace berth::door
