#include "docker/restart_monitor.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/failpoint.h"
#include "docker/lifecycle.h"

namespace berth::docker {
namespace {

using sandbox::Event;

constexpr Duration kFirstDelay = std::chrono::milliseconds(100);
constexpr Duration kLastDelay = std::chrono::minutes(1);
constexpr Duration kFirstRetry = std::chrono::seconds(1);
constexpr int kMostPostponed = 50;  // kFirstDelay each
constexpr Duration kLongRun = std::chrono::seconds(10);

SteadyTime In(Duration delay) {
  return std::chrono::steady_clock::now() +
         std::chrono::duration_cast<SteadyTime::duration>(delay);
}

bool PolicyWants(const View& view) {
  const std::string policy = view.notes->restart_policy();
  if (policy == "always" || policy == "unless-stopped") return true;
  if (policy != "on-failure" || view.exit_code() == 0) return false;
  const int64_t most = view.notes->max_retries();
  return most == 0 || view.restarts() < most;
}

// A later start may succeed with nothing else done.
bool MayPass(const Status& failure) {
  return failure.code() == StatusCode::kResourceExhausted ||
         failure.code() == StatusCode::kUnavailable;
}

}  // namespace

bool WantsRestart(const View& view) {
  return !view.notes->stopped_by_hand && !view.failed_start() &&
         PolicyWants(view);
}

bool WantsStart(const View& view) {
  return view.container->phase() == state::v1::CONTAINER_PHASE_EXITED &&
         view.container->started_at() != 0 &&
         (!view.notes->stopped_by_hand ||
          view.notes->restart_policy() == "always") &&
         PolicyWants(view);
}

RestartMonitor::RestartMonitor(Engine& engine)
    : engine_(engine),
      until_(Context::Background("restart monitor").WithCancel()),
      subscription_(engine.world.events().Subscribe(
          {{Event::Type::kContainerExited}, "", ""})),
      changed_(until_.WithCancel()) {
  // The threads' work asks it.
  engine_.monitor = this;
  for (const View& view : AllViews(engine_)) {
    if (view.ours() && WantsStart(view)) PromiseAtStart(view);
  }
  MutexLock lock(mutex_);
  EnsureThread();
}

RestartMonitor::~RestartMonitor() {
  until_.Cancel();
  Thread follower;
  {
    MutexLock lock(mutex_);
    follower = std::move(follower_);
  }
  follower.Join();
}

// One that cannot be had is asked for again with the next promise.
void RestartMonitor::EnsureThread() {
  if (follower_.joinable() || until_.cancelled()) return;
  StatusOr<Thread> thread = StartThread("restarts", [this] { Follow(); });
  LogFailure("follow exits", thread.status());
  if (thread.ok()) follower_ = *std::move(thread);
}

void RestartMonitor::Promise(Wait& wait, Duration delay) {
  wait.delay = delay;
  wait.due = In(delay);
  wait.pending = true;
  wait.starting = false;
  changed_.Cancel();
  EnsureThread();
}

void RestartMonitor::PromiseAtStart(const View& view) {
  LogFailure("restart container " + view.id(),
             MarkStartedByHand(engine_, until_, view.id()));
  MutexLock lock(mutex_);
  Promise(waits_[view.id()], Duration::zero());
}

bool RestartMonitor::Schedule(const View& view) {
  if (Waiting(view.id())) return true;
  if (!WantsRestart(view)) return false;
  const Duration ran(view.container->finished_at() -
                     view.container->started_at());
  MutexLock lock(mutex_);
  Wait& wait = waits_[view.id()];
  if (wait.pending) return true;
  Promise(wait, wait.delay == Duration::zero() || ran >= kLongRun
                    ? kFirstDelay
                    : std::min(2 * wait.delay, kLastDelay));
  return true;
}

void RestartMonitor::Forget(const std::string& id) {
  MutexLock lock(mutex_);
  waits_.erase(id);
}

bool RestartMonitor::Waiting(const std::string& id) const {
  MutexLock lock(mutex_);
  const auto found = waits_.find(id);
  return found != waits_.end() && found->second.pending;
}

void RestartMonitor::Expect(const std::string& id) {
  MutexLock lock(mutex_);
  ++expected_[id];
}

void RestartMonitor::Release(const std::string& id) {
  MutexLock lock(mutex_);
  const auto found = expected_.find(id);
  if (found != expected_.end() && --found->second == 0) expected_.erase(found);
}

bool RestartMonitor::Expected(const std::string& id) const {
  MutexLock lock(mutex_);
  return expected_.count(id) > 0;
}

bool RestartMonitor::WillRestart(const std::string& id) const {
  if (Expected(id) || Waiting(id)) return true;
  const View view = ViewOf(engine_, id);
  return view.container != nullptr && view.ours() && WantsRestart(view);
}

void RestartMonitor::SettleLater(const std::string& id) {
  MutexLock lock(mutex_);
  Unsettled& one = unsettled_[id];
  if (one.pending) return;
  one.delay = std::clamp(2 * one.delay, kFirstRetry, kLastDelay);
  one.due = In(one.delay);
  one.pending = true;
  changed_.Cancel();
  EnsureThread();
}

void RestartMonitor::Settled(const std::string& id) {
  MutexLock lock(mutex_);
  unsettled_.erase(id);
}

void RestartMonitor::Settle(const std::string& id) {
  LogFailure("wind up container " + id, SettleExit(engine_, until_, id));
}

// What ended while nobody was there to see it.
void RestartMonitor::CatchUp() {
  for (const View& view : AllViews(engine_)) {
    if (view.ours() &&
        view.container->phase() == state::v1::CONTAINER_PHASE_EXITED) {
      Settle(view.id());
    }
  }
}

Context RestartMonitor::UntilDue() {
  MutexLock lock(mutex_);
  changed_ = until_.WithCancel();
  Context due = changed_;
  for (const auto& [id, wait] : waits_) {
    if (wait.pending && !wait.starting) due = due.WithDeadline(wait.due);
  }
  for (const auto& [id, one] : unsettled_) {
    if (one.pending) due = due.WithDeadline(one.due);
  }
  return due;
}

void RestartMonitor::Follow() {
  CatchUp();
  while (!until_.cancelled()) {
    const Context due = UntilDue();
    const StatusOr<Event> event = subscription_->Next(due);
    if (event.ok()) {
      // Giving the network back takes its time; others have exited meanwhile.
      working_.Run(
          [this, id = event->container_id](const Context&) { Settle(id); });
    } else if (event.status().code() == StatusCode::kResourceExhausted) {
      CatchUp();  // some exits were not told
    } else if (due.Check().ok()) {
      return;  // the bus is gone
    }
    StartDue();
    SettleDue();
  }
}

void RestartMonitor::SettleDue() {
  std::vector<std::string> due;
  {
    MutexLock lock(mutex_);
    for (auto& [id, one] : unsettled_) {
      if (!one.pending || one.due > std::chrono::steady_clock::now()) continue;
      one.pending = false;
      due.push_back(id);
    }
  }
  for (const std::string& id : due) {
    working_.Run([this, id](const Context&) { Settle(id); });
  }
}

void RestartMonitor::StartDue() {
  std::vector<std::string> due;
  {
    MutexLock lock(mutex_);
    for (auto& [id, wait] : waits_) {
      if (!wait.pending || wait.starting ||
          wait.due > std::chrono::steady_clock::now()) {
        continue;
      }
      wait.starting = true;
      due.push_back(id);
    }
  }
  for (const std::string& id : due) {
    working_.Run([this, id](const Context&) { StartOne(id); });
  }
}

// Those that it links to are started first: five seconds later at most it is
// started all the same.
bool RestartMonitor::Postpone(const View& view) {
  MutexLock lock(mutex_);
  bool pending = false;
  for (const auto& [alias, other] : view.notes->links) {
    const auto found = waits_.find(other);
    pending = pending || (found != waits_.end() && found->second.pending);
  }
  const auto found = waits_.find(view.id());
  if (found == waits_.end() || !pending ||
      ++found->second.postponed > kMostPostponed) {
    return false;
  }
  Promise(found->second, kFirstDelay);
  return true;
}

void RestartMonitor::StartOne(const std::string& id) {
  const auto lock = engine_.lifecycle.Acquire(until_, id);
  if (!lock.ok()) return;  // the daemon ends
  {
    MutexLock waits(mutex_);
    const auto found = waits_.find(id);
    if (found == waits_.end() || !found->second.pending) return;
  }
  const View view = ViewOf(engine_, id);
  if (view.container != nullptr && Postpone(view)) return;
  Status started = OkStatus();
  if (view.container != nullptr && !view.running()) {
    LogFailure("restart container " + id, Failpoint("docker.restart.due"));
    started = StartContainer(engine_, until_, view);
  }
  LogFailure("restart container " + id, started);
  MutexLock waits(mutex_);
  const auto found = waits_.find(id);
  if (found == waits_.end()) return;
  Wait& wait = found->second;
  wait.starting = false;
  if (view.container == nullptr) {
    waits_.erase(found);
  } else if (started.ok()) {
    wait.pending = false;  // its delay is kept for the next exit
    wait.postponed = 0;
  } else if (MayPass(started)) {
    Promise(wait, std::clamp(2 * wait.delay, kFirstDelay, kLastDelay));
  } else {
    waits_.erase(found);
  }
}

}  // namespace berth::docker
