#include "door/stream/spdy_session.h"

#include <algorithm>
#include <utility>

namespace berth::door {
namespace {

constexpr uint16_t kVersion = 3;
constexpr size_t kHeadSize = 8;
// Of a control frame: a header block as it is sent.
constexpr size_t kMaxControl = 16 << 10;
// Of a data frame that we send.
constexpr size_t kPiece = 32 << 10;
// Told to the client when so much has been taken.
constexpr size_t kWindowStep = 32 << 10;
constexpr uint8_t kFin = 1;
constexpr uint8_t kUnidirectional = 2;
constexpr uint32_t kInitialWindow = 7;  // a setting
// Section 2.6.3.
constexpr uint32_t kProtocolError = 1;
constexpr uint32_t kRefusedStream = 3;
constexpr uint32_t kCancel = 5;

uint32_t NumberAt(std::string_view bytes, size_t at) {
  uint32_t number = 0;
  for (size_t i = at; i < at + 4; ++i) {
    number = number << 8 | static_cast<uint8_t>(bytes[i]);
  }
  return number;
}

std::string Number(uint32_t number) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes += static_cast<char>(number >> shift);
  }
  return bytes;
}

uint32_t IdAt(std::string_view bytes, size_t at) {
  return NumberAt(bytes, at) & 0x7fffffff;
}

}  // namespace

std::string SpdyEvent::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

StatusOr<std::vector<SpdyEvent>> SpdySession::Receive(std::string_view bytes) {
  received_ += bytes;
  Events events;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, TakeSome(events));
    if (more) continue;
    received_.erase(0, std::exchange(at_, 0));
    return events;
  }
}

// Of what was received, a frame, or a part of a data frame. False if more has
// to come first.
StatusOr<bool> SpdySession::TakeSome(Events& events) {
  if (in_data_) {
    if (Rest().empty() && data_left_ > 0) return false;
    TakeData(events);
    return true;
  }
  if (Rest().size() < kHeadSize) return false;
  const uint32_t first = NumberAt(Rest(), 0);
  const uint32_t second = NumberAt(Rest(), 4);
  const auto flags = static_cast<uint8_t>(second >> 24);
  const size_t length = second & 0xffffff;
  if ((first & 0x80000000) == 0) {
    data_stream_ = first;
    data_left_ = length;
    data_ends_ = (flags & kFin) != 0;
    in_data_ = true;
    at_ += kHeadSize;
    return true;
  }
  if ((first >> 16 & 0x7fff) != kVersion) {
    return InvalidArgument("spdy: a frame of another version");
  }
  if (length > kMaxControl) {
    return ResourceExhausted("spdy: a control frame of " +
                             std::to_string(length) + " bytes");
  }
  if (Rest().size() < kHeadSize + length) return false;
  const std::string_view payload = Rest().substr(kHeadSize, length);
  at_ += kHeadSize + length;
  RETURN_IF_ERROR(
      TakeControl(static_cast<uint16_t>(first), flags, payload, events));
  return true;
}

// What comes for a stream that is gone is dropped: it was on its way.
void SpdySession::TakeData(Events& events) {
  const size_t size = std::min(data_left_, Rest().size());
  const auto stream = streams_.find(data_stream_);
  const bool wanted = stream != streams_.end() && !stream->second.client_ended;
  if (size > 0 && wanted) {
    events.push_back({SpdyEvent::Type::kData,
                      data_stream_,
                      {},
                      std::string(Rest().substr(0, size))});
  } else if (size > 0) {
    Took(0, size);
  }
  at_ += size;
  data_left_ -= size;
  in_data_ = data_left_ > 0;
  if (!in_data_ && data_ends_ && wanted) EndOfClient(data_stream_, events);
}

Status SpdySession::TakeControl(uint16_t type, uint8_t flags,
                                std::string_view payload, Events& events) {
  const auto needs = [&](size_t size) {
    if (payload.size() >= size) return OkStatus();
    return InvalidArgument("spdy: a frame of type " + std::to_string(type) +
                           " is too short");
  };
  switch (type) {
    case kSynStream:
      RETURN_IF_ERROR(needs(10));
      return Open(flags, payload, events);
    case kHeaders:
      RETURN_IF_ERROR(needs(4));
      // Nobody has a use for them, but what follows is packed with them.
      RETURN_IF_ERROR(headers_.Unpack(payload.substr(4)).status());
      if ((flags & kFin) != 0) EndOfClient(IdAt(payload, 0), events);
      return OkStatus();
    case kRstStream:
      RETURN_IF_ERROR(needs(8));
      if (streams_.erase(IdAt(payload, 0)) > 0) {
        events.push_back({SpdyEvent::Type::kReset, IdAt(payload, 0), {}, ""});
      }
      return OkStatus();
    case kPing:
      RETURN_IF_ERROR(needs(4));
      // Its own come back to it; even ones would be answers to ours.
      if (NumberAt(payload, 0) % 2 == 1)
        PutControl(kPing, payload.substr(0, 4));
      return OkStatus();
    case kGoAway:
      events.push_back({SpdyEvent::Type::kGoAway, 0, {}, ""});
      return OkStatus();
    case kSettings:
      RETURN_IF_ERROR(needs(4));
      return Configure(payload);
    case kWindowUpdate:
      RETURN_IF_ERROR(needs(8));
      return MakeRoom(payload);
    case kSynReply:
      return InvalidArgument("spdy: an answer to a stream that nobody opened");
    default:
      return OkStatus();  // section 2.2.1
  }
}

Status SpdySession::Open(uint8_t flags, std::string_view payload,
                         Events& events) {
  const uint32_t id = IdAt(payload, 0);
  ASSIGN_OR_RETURN(SpdyHeaderList headers, headers_.Unpack(payload.substr(10)));
  if (id % 2 == 0 || id <= last_id_) {
    return InvalidArgument("spdy: a stream with the id " + std::to_string(id));
  }
  last_id_ = id;
  if (streams_.size() >= max_streams_) {
    PutReset(id, kRefusedStream);
    return OkStatus();
  }
  if ((flags & kUnidirectional) != 0) {
    PutReset(id, kProtocolError);
    return OkStatus();
  }
  ASSIGN_OR_RETURN(const std::string reply, headers_.Pack({}));
  PutControl(kSynReply, Number(id) + reply);
  streams_[id].room = initial_room_;
  events.push_back({SpdyEvent::Type::kOpened, id, std::move(headers), ""});
  if ((flags & kFin) != 0) EndOfClient(id, events);
  return OkStatus();
}

void SpdySession::EndOfClient(uint32_t id, Events& events) {
  const auto stream = streams_.find(id);
  if (stream == streams_.end() || stream->second.client_ended) return;
  stream->second.client_ended = true;
  events.push_back({SpdyEvent::Type::kEnded, id, {}, ""});
  EraseIfDone(id);
}

Status SpdySession::MakeRoom(std::string_view payload) {
  windows_ = true;
  const uint32_t id = IdAt(payload, 0);
  const int64_t more = IdAt(payload, 4);
  const auto stream = streams_.find(id);
  if (id != 0 && stream == streams_.end()) return OkStatus();
  int64_t& room = id == 0 ? room_ : stream->second.room;
  room += more;
  // Section 2.6.8.
  if (room > INT32_MAX) return InvalidArgument("spdy: a window too large");
  PushEvery();
  return OkStatus();
}

Status SpdySession::Configure(std::string_view payload) {
  const uint32_t count = NumberAt(payload, 0);
  if (payload.size() < 4 + size_t{8} * count) {
    return InvalidArgument("spdy: settings are cut off");
  }
  for (uint32_t i = 0; i < count; ++i) {
    const size_t at = 4 + size_t{8} * i;
    if ((NumberAt(payload, at) & 0xffffff) != kInitialWindow) continue;
    windows_ = true;
    const int64_t initial = IdAt(payload, at + 4);
    for (auto& [id, stream] : streams_) stream.room += initial - initial_room_;
    initial_room_ = initial;
  }
  PushEvery();
  return OkStatus();
}

void SpdySession::Took(uint32_t stream, size_t bytes) {
  taken_ += bytes;
  if (taken_ >= kWindowStep) PutWindow(0, std::exchange(taken_, 0));
  const auto found = streams_.find(stream);
  if (found == streams_.end() || found->second.client_ended) return;
  found->second.taken += bytes;
  if (found->second.taken < kWindowStep) return;
  PutWindow(stream, std::exchange(found->second.taken, 0));
}

void SpdySession::Send(uint32_t stream, std::string_view bytes) {
  const auto found = streams_.find(stream);
  if (found == streams_.end() || found->second.ended) return;
  found->second.held += bytes;
  Push(stream, found->second, /*all=*/false);
}

void SpdySession::End(uint32_t stream) {
  const auto found = streams_.find(stream);
  if (found == streams_.end() || found->second.ended) return;
  found->second.ended = true;
  Push(stream, found->second, /*all=*/false);
  EraseIfDone(stream);
}

void SpdySession::Reset(uint32_t stream) {
  if (streams_.erase(stream) > 0) PutReset(stream, kCancel);
}

bool SpdySession::HoldsBack(uint32_t stream) const {
  const auto found = streams_.find(stream);
  return found != streams_.end() && !found->second.held.empty();
}

void SpdySession::PushAll() {
  for (auto& [id, stream] : streams_) Push(id, stream, /*all=*/true);
}

void SpdySession::PushEvery() {
  std::vector<uint32_t> ids;
  for (auto& [id, stream] : streams_) {
    Push(id, stream, /*all=*/false);
    ids.push_back(id);
  }
  for (const uint32_t id : ids) EraseIfDone(id);
}

// What there is room for; all of it if the client knows of no windows.
void SpdySession::Push(uint32_t id, Stream& stream, bool all) {
  size_t pushed = 0;
  while (pushed < stream.held.size()) {
    int64_t size = std::min(stream.held.size() - pushed, kPiece);
    if (windows_ && !all) size = std::min({size, stream.room, room_});
    if (size <= 0) break;
    stream.room -= size;
    room_ -= size;
    PutData(id, 0,
            std::string_view(stream.held)
                .substr(pushed, static_cast<size_t>(size)));
    pushed += static_cast<size_t>(size);
  }
  stream.held.erase(0, pushed);
  if (stream.ended && !stream.end_sent && stream.held.empty()) {
    stream.end_sent = true;
    PutData(id, kFin, "");
  }
}

void SpdySession::EraseIfDone(uint32_t id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  if (found->second.end_sent && found->second.client_ended) {
    streams_.erase(found);
  }
}

std::string SpdySession::TakeOutput() { return std::exchange(output_, ""); }

void SpdySession::PutData(uint32_t id, uint8_t flags, std::string_view bytes) {
  output_ += Number(id);
  output_ +=
      Number(uint32_t{flags} << 24 | static_cast<uint32_t>(bytes.size()));
  output_ += bytes;
}

void SpdySession::PutControl(Type type, std::string_view payload) {
  output_ += Number(0x80000000u | uint32_t{kVersion} << 16 | type);
  output_ += Number(static_cast<uint32_t>(payload.size()));
  output_ += payload;
}

void SpdySession::PutReset(uint32_t id, uint32_t status) {
  PutControl(kRstStream, Number(id) + Number(status));
}

void SpdySession::PutWindow(uint32_t id, size_t bytes) {
  PutControl(kWindowUpdate, Number(id) + Number(static_cast<uint32_t>(bytes)));
}

}  // namespace berth::door
