#include "docker/health_monitor.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "docker/engine.h"
#include "docker/lifecycle.h"
#include "sandbox/ids.h"

namespace berth::docker {
namespace {

using sandbox::Event;

constexpr size_t kMaxChecks = 256;  // at a time
constexpr size_t kMaxOutput = 4096;

// "30s", as Go writes a duration of whole seconds; else "1.5s".
std::string SecondsText(Duration duration) {
  const int64_t millis =
      std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  if (millis % 1000 == 0) return std::to_string(millis / 1000) + "s";
  return std::to_string(millis) + "ms";
}

Health::Result Check(const Context& ctx, Engine& engine, const std::string& id,
                     const Healthcheck& check) {
  Health::Result result;
  result.start = Now();
  const StatusOr<sandbox::ExecResult> run = engine.streams.ExecSync(
      ctx, sandbox::ContainerId(id), check.argv, check.timeout, kMaxOutput);
  result.end = Now();
  if (run.ok()) {
    result.exit_code = run->exit_code;
    result.output = run->output + run->error_output;
    if (result.output.size() > kMaxOutput) result.output.resize(kMaxOutput);
    return result;
  }
  result.exit_code = -1;
  result.output =
      run.status().code() == StatusCode::kDeadlineExceeded
          ? "Health check exceeded timeout (" + SecondsText(check.timeout) + ")"
          : Message(run.status());
  return result;
}

}  // namespace

HealthMonitor::HealthMonitor(Engine& engine)
    : engine_(engine),
      until_(Context::Background("health").WithCancel()),
      subscription_(engine.world.events().Subscribe(
          {{Event::Type::kContainerStarted, Event::Type::kContainerExited,
            Event::Type::kContainerPaused, Event::Type::kContainerResumed,
            Event::Type::kContainerRemoved},
           "",
           ""})),
      changed_(until_.WithCancel()),
      checking_(kMaxChecks),
      follower_(StartThread("health", [this] { Follow(); })) {
  engine_.health = this;
  LogFailure("follow the health of containers", follower_.status());
}

HealthMonitor::~HealthMonitor() {
  until_.Cancel();
  if (follower_.ok()) follower_->Join();
}

std::optional<Health> HealthMonitor::Of(const std::string& id) const {
  MutexLock lock(mutex_);
  const auto found = watches_.find(id);
  if (found == watches_.end()) return std::nullopt;
  return found->second.health;
}

// The start interval holds until the first success, within the start period:
// the end of that is waited for at most.
void HealthMonitor::Plan(Watch& watch) {
  const Healthcheck& check = watch.check;
  const Duration left = check.start_period - Duration(Now() - watch.started);
  const bool starts =
      watch.health.status() == "starting" && left > Duration::zero();
  watch.due = std::chrono::steady_clock::now() +
              std::chrono::duration_cast<SteadyTime::duration>(
                  starts ? std::min<Duration>(check.start_interval, left)
                         : check.interval);
  changed_.Cancel();
}

// What has become of a container.
void HealthMonitor::Look(const std::string& id) {
  const View view = ViewOf(engine_, id);
  MutexLock lock(mutex_);
  if (view.container == nullptr || !view.ours()) {
    watches_.erase(id);
    return;
  }
  const bool active = view.running() && !view.container->paused();
  const auto found = watches_.find(id);
  const UnixNanos started = view.container->started_at();
  const bool known =
      found != watches_.end() && found->second.started == started;
  if (!known) {
    const auto check = Healthcheck::Of(view.notes->config);
    if (!view.running() || !check) return;
    Watch& watch = watches_[id] = Watch();
    watch.check = *check;
    watch.started = started;
  }
  Watch& watch = watches_[id];
  const bool begins = active && !watch.active;
  watch.active = active;
  if (begins) Plan(watch);
}

void HealthMonitor::CatchUp() {
  std::vector<std::string> ids;
  {
    MutexLock lock(mutex_);
    for (const auto& [id, watch] : watches_) ids.push_back(id);
  }
  for (const View& view : AllViews(engine_)) ids.push_back(view.id());
  for (const std::string& id : ids) Look(id);
}

Context HealthMonitor::UntilDue() {
  MutexLock lock(mutex_);
  changed_ = until_.WithCancel();
  Context due = changed_;
  for (const auto& [id, watch] : watches_) {
    if (watch.active && !watch.checking) due = due.WithDeadline(watch.due);
  }
  return due;
}

void HealthMonitor::Follow() {
  CatchUp();
  while (!until_.cancelled()) {
    const Context due = UntilDue();
    const StatusOr<Event> event = subscription_->Next(due);
    if (event.ok()) {
      if (!event->of_pod) Look(event->container_id);
    } else if (event.status().code() == StatusCode::kResourceExhausted) {
      CatchUp();
    } else if (due.Check().ok()) {
      return;  // the bus is gone
    }
    CheckDue();
  }
}

void HealthMonitor::CheckDue() {
  struct Due {
    std::string id;
    UnixNanos started;
    Healthcheck check;
  };
  std::vector<Due> all;
  {
    MutexLock lock(mutex_);
    const SteadyTime now = std::chrono::steady_clock::now();
    for (auto& [id, watch] : watches_) {
      if (!watch.active || watch.checking || watch.due > now) continue;
      watch.checking = true;
      all.push_back({id, watch.started, watch.check});
    }
  }
  for (Due& due : all) {
    checking_.Run([this, due = std::move(due)](const Context& ctx) {
      CheckOne(ctx, due.id, due.started, due.check);
    });
  }
}

void HealthMonitor::CheckOne(const Context& ctx, const std::string& id,
                             UnixNanos started, const Healthcheck& check) {
  Health::Result result = Check(ctx, engine_, id, check);
  std::string told;
  {
    MutexLock lock(mutex_);
    const auto found = watches_.find(id);
    if (found == watches_.end() || found->second.started != started) return;
    Watch& watch = found->second;
    watch.checking = false;
    // What ended or was paused meanwhile is not ill.
    const bool counts = watch.active && !ctx.cancelled();
    if (counts && watch.health.Take(check, started, std::move(result))) {
      told = watch.health.status();
    }
    Plan(watch);
  }
  if (!told.empty()) {
    engine_.events.PublishContainer("health_status: " + told, id);
  }
}

}  // namespace berth::docker
