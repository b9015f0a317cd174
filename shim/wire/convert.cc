#include "shim/wire/convert.h"

namespace berth::shim {
namespace {

namespace v1 = containerd::v1::types;

constexpr int64_t kNanosPerSecond = 1'000'000'000;

}  // namespace

wire::Timestamp ToWire(UnixNanos time) {
  wire::Timestamp timestamp;
  timestamp.set_seconds(time / kNanosPerSecond);
  timestamp.set_nanos(static_cast<int32_t>(time % kNanosPerSecond));
  return timestamp;
}

UnixNanos FromWire(const wire::Timestamp& time) {
  // What does not fit (years before 1678 or after 2262) is no exit time.
  constexpr int64_t kMaxSeconds = INT64_MAX / kNanosPerSecond - 1;
  if (time.seconds() < 0 || time.seconds() > kMaxSeconds) return 0;
  return time.seconds() * kNanosPerSecond + time.nanos();
}

containerd::types::Mount ToWire(const Mount& mount) {
  containerd::types::Mount message;
  message.set_type(mount.type);
  message.set_source(mount.source);
  for (const std::string& option : mount.options) message.add_options(option);
  return message;
}

StatusOr<Mount> FromWire(const containerd::types::Mount& message) {
  if (!message.target().empty()) {
    return Unimplemented("rootfs.target \"" + message.target() + "\"");
  }
  Mount mount;
  mount.type = message.type();
  mount.source = message.source();
  mount.options.assign(message.options().begin(), message.options().end());
  return mount;
}

v1::Status ToWire(TaskPhase phase) {
  switch (phase) {
    case TaskPhase::kCreated:
      return v1::CREATED;
    case TaskPhase::kRunning:
      return v1::RUNNING;
    case TaskPhase::kStopped:
      return v1::STOPPED;
    case TaskPhase::kPaused:
      return v1::PAUSED;
    case TaskPhase::kUnknown:
      break;
  }
  return v1::UNKNOWN;
}

TaskPhase FromWire(v1::Status status) {
  switch (status) {
    case v1::CREATED:
      return TaskPhase::kCreated;
    case v1::RUNNING:
      return TaskPhase::kRunning;
    case v1::STOPPED:
      return TaskPhase::kStopped;
    case v1::PAUSED:
    case v1::PAUSING:
      return TaskPhase::kPaused;
    default:
      return TaskPhase::kUnknown;
  }
}

}  // namespace berth::shim
