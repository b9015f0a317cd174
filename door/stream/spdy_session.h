#ifndef DOOR_STREAM_SPDY_SESSION_H_
#define DOOR_STREAM_SPDY_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "door/stream/spdy_headers.h"

namespace berth::door {

// What a client did in a session.
struct SpdyEvent {
  enum class Type {
    kOpened,  // a stream, with headers; its id has been answered
    kData,    // bytes of a stream
    kEnded,   // nothing more comes on that stream
    kReset,   // neither way: the stream is gone
    kGoAway,  // the client is about to leave
  };
  Type type;
  uint32_t stream = 0;
  SpdyHeaderList headers;
  std::string bytes;

  // "" if there is none of that name.
  std::string Header(std::string_view name) const;
};

// The server's side of a SPDY/3.1 session whose client opens all streams:
// bytes that came to events, and sending to bytes. No socket, no waiting.
//
// The windows of flow control count from the moment that a client shows that it
// knows of them, by a SETTINGS or WINDOW_UPDATE frame. Kubernetes' clients do
// not: they never make room, and would wait for ever.
//
// Thread-compatible.
class SpdySession {
 public:
  // Streams that may be open at once; one more is refused.
  explicit SpdySession(size_t max_streams) : max_streams_(max_streams) {}

  // INVALID_ARGUMENT, RESOURCE_EXHAUSTED: the session cannot go on.
  StatusOr<std::vector<SpdyEvent>> Receive(std::string_view bytes);
  // What was received on a stream and has been dealt with: makes room for more.
  void Took(uint32_t stream, size_t bytes);

  // Nothing happens on a stream that is gone, or that we have ended.
  void Send(uint32_t stream, std::string_view bytes);
  // Nothing more comes from us, after what is held back.
  void End(uint32_t stream);
  // Neither way, at once.
  void Reset(uint32_t stream);
  // A part of what was sent waits for the client to make room.
  bool HoldsBack(uint32_t stream) const;
  // Sends what is held back, room or not: the last words.
  void PushAll();

  // To be sent. Grows with what the client makes us answer.
  std::string TakeOutput();

 private:
  enum Type : uint16_t {
    kSynStream = 1,
    kSynReply = 2,
    kRstStream = 3,
    kSettings = 4,
    kPing = 6,
    kGoAway = 7,
    kHeaders = 8,
    kWindowUpdate = 9,
  };
  struct Stream {
    int64_t room = 0;    // of the client, for what we send
    size_t taken = 0;    // since the client was told last
    std::string held;    // waits for room
    bool ended = false;  // by us, perhaps after what is held
    bool end_sent = false;
    bool client_ended = false;
  };
  using Events = std::vector<SpdyEvent>;

  std::string_view Rest() const {
    return std::string_view(received_).substr(at_);
  }
  StatusOr<bool> TakeSome(Events& events);
  void TakeData(Events& events);
  Status TakeControl(uint16_t type, uint8_t flags, std::string_view payload,
                     Events& events);
  Status Open(uint8_t flags, std::string_view payload, Events& events);
  Status CheckId(uint32_t id);
  Status MakeRoom(std::string_view payload);
  Status Configure(std::string_view payload);
  void EndOfClient(uint32_t id, Events& events);
  void Push(uint32_t id, Stream& stream, bool all);
  void PushEvery();
  void EraseIfDone(uint32_t id);
  void PutData(uint32_t id, uint8_t flags, std::string_view bytes);
  void PutControl(Type type, std::string_view payload);
  void PutReset(uint32_t id, uint32_t status);
  void PutWindow(uint32_t id, size_t bytes);

  const size_t max_streams_;
  SpdyHeaders headers_;
  std::string received_;
  size_t at_ = 0;  // of what has been taken
  // The data frame whose payload is being received.
  uint32_t data_stream_ = 0;
  size_t data_left_ = 0;
  bool data_ends_ = false;
  bool in_data_ = false;

  std::map<uint32_t, Stream> streams_;
  uint32_t last_id_ = 0;
  bool windows_ = false;  // the client knows of them
  int64_t initial_room_ = 64 << 10;
  int64_t room_ = 64 << 10;  // of all streams together
  size_t taken_ = 0;
  std::string output_;
};

}  // namespace berth::door

#endif  // DOOR_STREAM_SPDY_SESSION_H_
