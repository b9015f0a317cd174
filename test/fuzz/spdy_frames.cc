// What a client sends in a SPDY session, in two pieces, with answers to all of
// its streams in between.
#include <string>
#include <string_view>
#include <vector>

#include "door/stream/spdy_session.h"
#include "test/fuzz/driver/fuzz_target.h"

namespace {

using berth::door::SpdyEvent;
using berth::door::SpdySession;

constexpr size_t kMaxStreams = 8;

// False if the session cannot go on.
bool Give(SpdySession& session, std::string_view bytes) {
  const auto events = session.Receive(bytes);
  if (!events.ok()) return false;
  size_t data = 0;
  for (const SpdyEvent& event : *events) {
    size_t headers = 0;
    for (const auto& [name, value] : event.headers) {
      headers += name.size() + value.size();
    }
    FUZZ_CHECK(headers <= berth::door::SpdyHeaders::kMaxBytes);
    data += event.bytes.size();
    session.Took(event.stream, event.bytes.size());
    session.Send(event.stream, "answer");
    if (event.type == SpdyEvent::Type::kEnded) session.End(event.stream);
  }
  FUZZ_CHECK(data <= bytes.size() + (16 << 10));
  (void)session.TakeOutput();
  return true;
}

}  // namespace

FUZZ_TARGET(bytes) {
  SpdySession session(kMaxStreams);
  const size_t half = bytes.size() / 2;
  const bool good =
      Give(session, bytes.substr(0, half)) && Give(session, bytes.substr(half));
  session.PushAll();
  (void)session.TakeOutput();
  return good;
}
