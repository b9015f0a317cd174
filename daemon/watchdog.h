#ifndef DAEMON_WATCHDOG_H_
#define DAEMON_WATCHDOG_H_

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/thread.h"

namespace berth::daemon {

// How long the service manager waits for a sign of life, by WATCHDOG_USEC
// (sd_watchdog_enabled(3)); none: it waits for none, or not for this process.
// The variables are taken out of the environment: before there are threads.
std::optional<Duration> TakeWatchdogTime();

// Tells the service manager again and again that this daemon works: three times
// in the time that it waits, each time that `ask` says OK. A daemon that hangs
// says nothing, and the manager starts it anew; its pods go on.
//
// Thread-safe.
class Watchdog {
 public:
  // `ask` is called on a thread of this. It is told a third of the time, and
  // has to be back within it.
  static StatusOr<std::unique_ptr<Watchdog>> Start(
      Duration time, std::function<Status(Duration)> ask);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  Watchdog(Duration period, std::function<Status(Duration)> ask);
  void Watch();

  const Duration period_;
  const std::function<Status(Duration)> ask_;
  std::stop_source stop_;
  Mutex mutex_;
  CondVar stopped_;
  Thread thread_;
};

}  // namespace berth::daemon

#endif  // DAEMON_WATCHDOG_H_
