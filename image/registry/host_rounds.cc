#include "image/registry/host_rounds.h"

#include <algorithm>
#include <random>
#include <utility>

#include "base/mutex.h"

namespace berth::image {
namespace {

using std::chrono::steady_clock;

// Between half of it and all of it, so that those who failed together do not
// come back together.
Duration Jittered(Duration delay) {
  static thread_local std::minstd_rand random(std::random_device{}());
  return Duration(std::uniform_int_distribution<Duration::rep>(
      delay.count() / 2, delay.count())(random));
}

Status Sleep(const Context& ctx, Duration time) {
  Mutex mutex;
  CondVar never;
  MutexLock lock(mutex);
  const Status slept =
      ctx.WithTimeout(time).Await(mutex, never, [] { return false; });
  RETURN_IF_ERROR(ctx.Check());
  return slept.code() == StatusCode::kDeadlineExceeded ? OkStatus() : slept;
}

// What one round has shown.
struct Round {
  std::vector<size_t> again;               // hosts that may change their mind
  Duration retry_after = Duration::max();  // the earliest; zero: one says none
  bool progress = false;
  bool over = false;
};

Duration PauseAfter(const Round& round, const RetryPolicy& policy, int count) {
  if (round.retry_after > Duration::zero()) {
    return std::min(round.retry_after, policy.max_retry_after);
  }
  const Duration delay = policy.first_delay * (1LL << std::min(count, 16));
  return Jittered(std::min(delay, policy.max_delay));
}

}  // namespace

Status AskHosts(const Context& ctx, const RetryPolicy& policy,
                std::vector<size_t> hosts,
                const std::function<Attempt(size_t host)>& ask) {
  Status error = FailedPrecondition("no host may be asked");
  steady_clock::time_point last_progress = steady_clock::now();
  for (int count = 0;; ++count) {
    Round round;
    for (const size_t host : hosts) {
      Attempt attempt = ask(host);
      if (attempt.status.ok()) return OkStatus();
      // The registry's own word stays.
      if (!round.over) error = std::move(attempt.status);
      if (!ctx.Check().ok() || attempt.hope == Attempt::Hope::kNone) {
        return error;
      }
      round.over |= attempt.hope == Attempt::Hope::kThisRound;
      round.progress |= attempt.progress;
      if (attempt.hope != Attempt::Hope::kAll) continue;
      round.again.push_back(host);
      round.retry_after = std::min(round.retry_after, attempt.retry_after);
    }
    if (round.progress) {
      count = 0;
      last_progress = steady_clock::now();
    }
    if (round.over || round.again.empty() || count + 1 >= policy.tries ||
        steady_clock::now() - last_progress >= policy.patience) {
      return error;
    }
    RETURN_IF_ERROR(Sleep(ctx, PauseAfter(round, policy, count)));
    hosts = std::move(round.again);
  }
}

}  // namespace berth::image
