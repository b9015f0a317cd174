#include "docker/restart_monitor.h"

#include <algorithm>
#include <utility>

#include "base/failpoint.h"
#include "docker/lifecycle.h"

namespace berth::docker {
namespace {

using sandbox::Event;

constexpr Duration kFirstDelay = std::chrono::milliseconds(100);
constexpr Duration kLastDelay = std::chrono::minutes(1);
constexpr Duration kLongRun = std::chrono::seconds(10);
constexpr Duration kIdle = std::chrono::hours(1);

bool PolicyWants(const View& view) {
  const std::string policy = view.notes.restart_policy();
  if (policy == "always" || policy == "unless-stopped") return true;
  if (policy != "on-failure" || view.exit_code() == 0) return false;
  const int64_t most = view.notes.max_retries();
  return most == 0 || view.restarts() < most;
}

}  // namespace

bool WantsRestart(const View& view) {
  return !view.notes.stopped_by_hand && !view.failed_start() &&
         PolicyWants(view);
}

bool WantsStart(const View& view) {
  return view.container->phase() == state::v1::CONTAINER_PHASE_EXITED &&
         view.container->started_at() != 0 &&
         (!view.notes.stopped_by_hand ||
          view.notes.restart_policy() == "always") &&
         PolicyWants(view);
}

RestartMonitor::RestartMonitor(Engine& engine)
    : engine_(engine),
      until_(Context::Background("restart monitor").WithCancel()),
      subscription_(engine.world.events().Subscribe(
          {{Event::Type::kContainerExited}, "", ""})) {
  // The threads' work asks it.
  engine_.monitor = this;
  for (const View& view : AllViews(engine_)) {
    if (view.ours() && WantsStart(view)) PromiseAtStart(view);
  }
  exits_ = std::thread([this] { FollowExits(); });
  starts_ = std::thread([this] { StartDue(); });
}

RestartMonitor::~RestartMonitor() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.SignalAll();
  }
  until_.Cancel();
  exits_.join();
  starts_.join();
}

void RestartMonitor::Promise(Wait& wait, Duration delay) {
  wait.delay = delay;
  wait.due = std::chrono::steady_clock::now() +
             std::chrono::duration_cast<SteadyTime::duration>(delay);
  wait.pending = true;
  changed_.SignalAll();
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

void RestartMonitor::FollowExits() {
  CatchUp();
  while (!until_.cancelled()) {
    const StatusOr<Event> event = subscription_->Next(until_);
    if (event.ok()) {
      // Giving the network back takes its time; others have exited meanwhile.
      settling_.Run(
          [this, id = event->container_id](const Context&) { Settle(id); });
    } else if (event.status().code() == StatusCode::kResourceExhausted) {
      CatchUp();  // some exits were not told
    } else {
      return;
    }
  }
}

void RestartMonitor::StartOne(const std::string& id) {
  KeyedMutex::Lock lock(engine_.lifecycle, id);
  {
    MutexLock waits(mutex_);
    const auto found = waits_.find(id);
    if (found == waits_.end() || !found->second.pending) return;
  }
  const View view = ViewOf(engine_, id);
  Status started = OkStatus();
  if (view.container != nullptr && !view.running()) {
    LogFailure("restart container " + id, Failpoint("docker.restart.due"));
    started = StartContainer(engine_, until_, view);
  }
  LogFailure("restart container " + id, started);
  MutexLock waits(mutex_);
  const auto found = waits_.find(id);
  if (found == waits_.end()) return;
  if (started.ok() && view.container != nullptr) {
    found->second.pending = false;  // its delay is kept for the next exit
  } else {
    waits_.erase(found);
  }
}

void RestartMonitor::StartDue() {
  while (true) {
    std::string due;
    {
      MutexLock lock(mutex_);
      if (stopping_) return;
      SteadyTime next = std::chrono::steady_clock::now() +
                        std::chrono::duration_cast<SteadyTime::duration>(kIdle);
      for (const auto& [id, wait] : waits_) {
        if (!wait.pending || wait.due >= next) continue;
        next = wait.due;
        due = id;
      }
      if (next > std::chrono::steady_clock::now()) {
        changed_.WaitUntil(mutex_, next);
        continue;
      }
    }
    StartOne(due);
  }
}

}  // namespace berth::docker
