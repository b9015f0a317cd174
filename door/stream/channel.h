#ifndef DOOR_STREAM_CHANNEL_H_
#define DOOR_STREAM_CHANNEL_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/context.h"
#include "base/status.h"
#include "door/http/upgrade.h"
#include "door/stream/client.h"
#include "door/stream/stream.h"
#include "sandbox/stream_session.h"

namespace berth::door {

// What came from a client.
struct ChannelInput {
  std::string bytes;   // for the program's input
  bool ended = false;  // nothing more for it comes after them
  // Its terminal has this size now.
  std::optional<sandbox::TerminalSize> size;
};

// How it ended: the process with an exit code, without one if it goes on
// without this client; or why there was no process.
using StreamEnd = StatusOr<std::optional<int>>;

// A client's end of the streams of one process: a connection that was HTTP,
// and what a protocol makes of it. One derived class a protocol says how each
// thing is written.
//
// What the client does not read is held here, so whoever fills a channel asks
// Takes first. Thread-compatible.
class StreamChannel {
 public:
  explicit StreamChannel(UpgradedConnection client)
      : client_(std::move(client)) {}
  virtual ~StreamChannel() = default;
  StreamChannel(const StreamChannel&) = delete;
  StreamChannel& operator=(const StreamChannel&) = delete;

  const StreamClient& client() const { return client_; }
  // TryRead has something that poll(2) does not see.
  bool HasPending() const { return early_ || client_.HasPending(); }
  // What has come, without waiting; nothing if that is nothing yet. An error
  // if the client is gone or breaks the protocol.
  StatusOr<std::optional<ChannelInput>> TryRead();
  // The program has got so many of the bytes that came for it, or they were
  // dropped.
  virtual void Took(size_t /*bytes*/) {}
  // The connection ends with its client. Else its end is the end of the
  // program's input, and the client goes on reading.
  virtual bool EndsWithClient() const { return true; }

  // Whether there is room for output of this stream.
  bool Takes(Stream stream) const {
    return !client_.HasUnsent() && !HoldsBack(stream);
  }
  // Output, to be sent by Flush.
  void Put(Stream stream, std::string_view bytes) {
    client_.Put(Encode(stream, bytes));
  }
  // Sends as much as can be sent without waiting for the client to read.
  Status Flush(const Context& ctx) { return client_.Flush(ctx); }
  // Put and Flush, waiting until all is sent.
  Status Write(const Context& ctx, Stream stream, std::string_view bytes);
  // The last. Waits until all is sent.
  Status End(const Context& ctx, const StreamEnd& end);

 protected:
  // The protocol.
  virtual std::string Encode(Stream stream, std::string_view bytes) = 0;
  // Of what was received; empty, unless EndsWithClient: the client has shut its
  // side down. Nothing if more has to come first.
  virtual StatusOr<std::optional<ChannelInput>> Decode(
      std::string_view received) = 0;
  virtual std::string EncodeEnd(const StreamEnd& end) = 0;
  // Output that was Put waits for the client to make room for this stream.
  virtual bool HoldsBack(Stream /*stream*/) const { return false; }

  bool HasUnsent() const { return client_.HasUnsent(); }
  // What the protocol itself answers.
  void PutAnswer(std::string_view bytes) { client_.Put(bytes); }
  // Waits for the next bytes; what they bring for the program is kept for
  // TryRead. RESOURCE_EXHAUSTED if that is too much.
  Status ReadAhead(const Context& ctx);

 private:
  StatusOr<std::optional<ChannelInput>> Take(std::string_view received);

  StreamClient client_;
  std::optional<ChannelInput> early_;
};

}  // namespace berth::door

#endif  // DOOR_STREAM_CHANNEL_H_
