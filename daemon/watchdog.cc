#include "daemon/watchdog.h"

#include <glog/logging.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>

#include "base/strings.h"
#include "daemon/notify.h"

namespace berth::daemon {
namespace {

// Beyond that it is no time that a manager waits.
constexpr uint64_t kMostMicroseconds = uint64_t{1} << 42;

}  // namespace

std::optional<Duration> TakeWatchdogTime() {
  const char* time = std::getenv("WATCHDOG_USEC");
  const char* pid = std::getenv("WATCHDOG_PID");
  const std::optional<uint64_t> wanted =
      time == nullptr ? std::nullopt : ParseUint(time);
  const bool ours =
      pid == nullptr || ParseUint(pid) == static_cast<uint64_t>(getpid());
  unsetenv("WATCHDOG_USEC");
  unsetenv("WATCHDOG_PID");
  if (!ours || wanted.value_or(0) == 0) return std::nullopt;
  return std::chrono::microseconds(std::min(*wanted, kMostMicroseconds));
}

StatusOr<std::unique_ptr<Watchdog>> Watchdog::Start(
    Duration time, std::function<Status(Duration)> ask) {
  std::unique_ptr<Watchdog> watchdog(new Watchdog(time / 3, std::move(ask)));
  ASSIGN_OR_RETURN(
      watchdog->thread_,
      StartThread("watchdog", [dog = watchdog.get()] { dog->Watch(); }));
  return watchdog;
}

Watchdog::Watchdog(Duration period, std::function<Status(Duration)> ask)
    : period_(period), ask_(std::move(ask)) {}

Watchdog::~Watchdog() {
  stop_.request_stop();
  thread_.Join();
}

void Watchdog::Watch() {
  while (!stop_.stop_requested()) {
    const Status works = ask_(period_);
    if (works.ok()) {
      NotifyManager("WATCHDOG=1");
    } else {
      LOG(ERROR) << "the watchdog is not told that berthd works: "
                 << Message(works);
    }
    MutexLock lock(mutex_);
    stopped_.Await(mutex_, stop_.get_token(),
                   std::chrono::steady_clock::now() + period_,
                   [] { return false; });
  }
}

}  // namespace berth::daemon
