#ifndef DOOR_STREAM_CHANNEL_H_
#define DOOR_STREAM_CHANNEL_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/context.h"
#include "base/status.h"
#include "door/http/upgrade.h"
#include "door/stream/stream.h"
#include "sandbox/stream_session.h"

namespace berth::door {

// What came from a client.
struct ChannelInput {
  std::string bytes;   // for the program's input
  bool ended = false;  // nothing more comes after them
  // Its terminal has this size now.
  std::optional<sandbox::TerminalSize> size;
};

// A client's end of the streams of one process: a connection that was HTTP,
// and what a protocol makes of it. One derived class a protocol says how each
// thing is written.
//
// What the client does not read is held here, so whoever fills a channel asks
// HasUnsent first. Thread-compatible.
class StreamChannel {
 public:
  explicit StreamChannel(UpgradedConnection client)
      : client_(std::move(client)) {}
  virtual ~StreamChannel() = default;
  StreamChannel(const StreamChannel&) = delete;
  StreamChannel& operator=(const StreamChannel&) = delete;

  // For poll(2): POLLHUP when the client is gone altogether.
  int fd() const { return client_.fd(); }
  // TryRead has something that poll(2) does not see.
  bool HasPending() const { return client_.HasPending(); }
  // What has come, without waiting; nothing if that is nothing yet. An error
  // if the client is gone or breaks the protocol.
  StatusOr<std::optional<ChannelInput>> TryRead();

  bool HasUnsent() const { return !unsent_.empty(); }
  // Output, to be sent by Flush.
  void Put(Stream stream, std::string_view bytes) {
    unsent_ += Encode(stream, bytes);
  }
  // Sends as much as can be sent without waiting for the client to read.
  Status Flush(const Context& ctx);
  // Put and Flush, waiting until all is sent.
  Status Write(const Context& ctx, Stream stream, std::string_view bytes);
  // The last: the process has ended like that, or it goes on without this
  // client. Waits until all is sent.
  Status End(const Context& ctx, std::optional<int> exit_code);

 protected:
  // The protocol.
  virtual std::string Encode(Stream stream, std::string_view bytes) = 0;
  // Of what was received; empty: the client has shut its side down. Nothing if
  // more has to come first.
  virtual StatusOr<std::optional<ChannelInput>> Decode(
      const std::string& received) = 0;
  virtual std::string EncodeEnd(std::optional<int> exit_code) = 0;

  // What the protocol itself answers.
  void PutAnswer(std::string_view bytes) { unsent_ += bytes; }

 private:
  UpgradedConnection client_;
  std::string unsent_;
};

}  // namespace berth::door

#endif  // DOOR_STREAM_CHANNEL_H_
