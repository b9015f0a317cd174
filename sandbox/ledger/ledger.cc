#include "sandbox/ledger/ledger.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "base/strings.h"
#include "glog/logging.h"
#include "sandbox/record/phase.h"

namespace berth::sandbox {
namespace {

using ::berth::state::v1::CONTAINER_PHASE_CREATING;
using ::berth::state::v1::ContainerPlan;

constexpr Duration kFirstRetry = std::chrono::milliseconds(100);
constexpr Duration kLastRetry = std::chrono::seconds(10);

std::string Key(const SandboxId& id) { return "sandbox " + id.str(); }
constexpr std::string_view kContainerKey = "container ";
std::string Key(const ContainerId& id) {
  return std::string(kContainerKey) + id.str();
}

// "CONTAINER_PHASE_RUNNING" -> "running".
std::string Word(const std::string& phase) {
  return Lower(phase.substr(phase.rfind('_') + 1));
}

// Leaves out, for good, what cannot be an object of ours though it was parsed.
template <typename Record>
void SetStrangeAside(const Transaction& tx, std::string_view table,
                     std::map<std::string, Record>& records) {
  std::erase_if(records, [&](const auto& entry) {
    const auto& [key, record] = entry;
    const bool strange = record.id() != key || record.phase() == 0;
    if (strange) tx.SetAside(table, key, "its id or its phase is wrong");
    return strange;
  });
}

bool Same(const ContainerPlan& a, const ContainerPlan& b) {
  return a.default_seccomp() == b.default_seccomp() && a.spec() == b.spec() &&
         a.adjustment() == b.adjustment();
}

// A clock that is set back does not make a life end before it began.
void OrderTimes(SandboxRecord& sandbox) {
  if (sandbox.ready_at() != 0) {
    sandbox.set_ready_at(std::max(sandbox.ready_at(), sandbox.created_at()));
  }
  if (sandbox.stopped_at() != 0) {
    sandbox.set_stopped_at(std::max(
        {sandbox.stopped_at(), sandbox.ready_at(), sandbox.created_at()}));
  }
}

void OrderTimes(ContainerRecord& container) {
  if (container.started_at() != 0) {
    container.set_started_at(
        std::max(container.started_at(), container.created_at()));
  }
  if (container.finished_at() != 0) {
    container.set_finished_at(
        std::max({container.finished_at(), container.started_at(),
                  container.created_at()}));
  }
}

}  // namespace

// ---- Held objects -----------------------------------------------------------

Status HeldContainer::Advance(ContainerPhase to) {
  const SandboxStatus sandbox =
      ledger_.inventory_.FindSandbox(SandboxId(record_.sandbox_id()));
  const SandboxKind kind =
      sandbox ? sandbox->config().kind() : state::v1::SANDBOX_KIND_POD;
  const ContainerPhase from = record_.phase();
  if (!IsLegal(kind, from, to)) {
    return FailedPrecondition(doing_ + ": it is " +
                              Word(ContainerPhase_Name(from)));
  }
  record_.set_phase(to);
  const Status saved = ledger_.Save(record_);
  if (!saved.ok()) record_.set_phase(from);
  return saved;
}

Status HeldSandbox::Advance(SandboxPhase to) {
  const SandboxPhase from = record_.phase();
  if (!IsLegal(record_.config().kind(), from, to)) {
    return FailedPrecondition(doing_ + ": it is " +
                              Word(SandboxPhase_Name(from)));
  }
  record_.set_phase(to);
  const Status saved = ledger_.Save(record_);
  if (!saved.ok()) record_.set_phase(from);
  return saved;
}

StatusOr<HeldContainer> Ledger::Hold(const Context& ctx, const ContainerId& id,
                                     const std::string& verb) {
  const std::string doing = verb + " " + Key(id);
  ASSIGN_OR_RETURN_AS(KeyedMutex::Lock lock,
                      container_locks.Acquire(ctx, id.str()), doing);
  HeldContainer held(*this, std::move(lock), doing);
  ASSIGN_OR_RETURN(const ContainerStatus now, Find(id, verb));
  held.record_ = *now;
  return held;
}

StatusOr<HeldSandbox> Ledger::Hold(const Context& ctx, const SandboxId& id,
                                   const std::string& verb) {
  const std::string doing = verb + " " + Key(id);
  ASSIGN_OR_RETURN_AS(KeyedMutex::Lock lock,
                      sandbox_locks.Acquire(ctx, id.str()), doing);
  HeldSandbox held(*this, std::move(lock), doing);
  const SandboxStatus now = inventory_.FindSandbox(id);
  if (!now) return NotFound(doing + ": no such sandbox");
  held.record_ = *now;
  return held;
}

StatusOr<ContainerStatus> Ledger::Find(const ContainerId& id,
                                       const std::string& verb) const {
  ContainerStatus now = inventory_.FindContainer(id);
  if (now && now->phase() != CONTAINER_PHASE_CREATING) return now;
  return NotFound(verb + " " + Key(id) + ": no such container");
}

// ---- Writing ----------------------------------------------------------------

Ledger::Ledger(MetadataStore& store, Inventory& inventory)
    : store_(store),
      inventory_(inventory),
      until_(Context::Background("ledger").WithCancel()) {}

Ledger::~Ledger() {
  until_.Cancel();
  Thread retrier;
  {
    MutexLock lock(mutex_);
    retrier = std::move(retrier_);
  }
  retrier.Join();
  RetryAll();
}

Status Ledger::Load() {
  std::map<std::string, SandboxRecord> sandboxes;
  std::map<std::string, ContainerRecord> containers;
  std::map<std::string, ContainerPlan> plans;
  RETURN_IF_ERROR_AS(store_.View([&](const Transaction& tx) -> Status {
    ASSIGN_OR_RETURN(sandboxes, sandboxes_.All(tx));
    ASSIGN_OR_RETURN(containers, containers_.All(tx));
    ASSIGN_OR_RETURN(plans, plans_.All(tx));
    SetStrangeAside(tx, "sandboxes", sandboxes);
    SetStrangeAside(tx, "containers", containers);
    return OkStatus();
  }),
                     "load records of sandboxes");
  SortPlans(containers, plans);
  for (auto& [id, sandbox] : sandboxes) {
    inventory_.Put(std::make_shared<SandboxRecord>(std::move(sandbox)));
  }
  for (auto& [id, container] : containers) {
    const auto plan = plans.find(id);
    if (plan != plans.end()) *container.mutable_plan() = plan->second;
    inventory_.Put(std::make_shared<ContainerRecord>(std::move(container)));
  }
  return OkStatus();
}

void Ledger::SortPlans(const std::map<std::string, ContainerRecord>& containers,
                       const std::map<std::string, ContainerPlan>& plans) {
  std::vector<const ContainerRecord*> whole;
  for (const auto& [id, container] : containers) {
    if (container.has_plan()) whole.push_back(&container);
  }
  std::vector<std::string> orphans;
  for (const auto& [id, plan] : plans) {
    if (containers.count(id) == 0) orphans.push_back(id);
  }
  if (whole.empty() && orphans.empty()) return;
  const Status sorted = store_.Update([&](Transaction& tx) -> Status {
    for (const ContainerRecord* container : whole) {
      RETURN_IF_ERROR(PutApart(tx, *container, /*plan=*/true));
    }
    for (const std::string& id : orphans) {
      RETURN_IF_ERROR(plans_.Erase(tx, id));
    }
    return OkStatus();
  });
  if (sorted.ok()) return;
  LOG(WARNING) << "save plans of containers apart: " << Message(sorted);
}

Status Ledger::PutApart(Transaction& tx, const ContainerRecord& container,
                        bool plan) const {
  if (plan) {
    RETURN_IF_ERROR(container.has_plan()
                        ? plans_.Put(tx, container.id(), container.plan())
                        : plans_.Erase(tx, container.id()));
  }
  ContainerRecord rest = container;
  rest.clear_plan();
  return containers_.Put(tx, rest.id(), rest);
}

Ledger::Write Ledger::Putting(const SandboxRecord& sandbox) const {
  return [this, sandbox](Transaction& tx) {
    return sandboxes_.Put(tx, sandbox.id(), sandbox);
  };
}

Ledger::Write Ledger::Putting(const ContainerRecord& container) const {
  const ContainerId id(container.id());
  const ContainerStatus shown = inventory_.FindContainer(id);
  const bool new_plan =
      !shown || !IsSaved(id) || !Same(shown->plan(), container.plan());
  return [this, container, new_plan](Transaction& tx) {
    return PutApart(tx, container, new_plan);
  };
}

Ledger::Write Ledger::Erasing(const ContainerId& id) const {
  return [this, id](Transaction& tx) -> Status {
    RETURN_IF_ERROR(plans_.Erase(tx, id.str()));
    return containers_.Erase(tx, id.str());
  };
}

Status Ledger::Save(const SandboxRecord& sandbox) {
  SandboxRecord record = sandbox;
  OrderTimes(record);
  RETURN_IF_ERROR_AS(WriteNow(Key(SandboxId(record.id())), Putting(record)),
                     "save sandbox " + record.id());
  Show(std::move(record));
  return OkStatus();
}

Status Ledger::Save(const ContainerRecord& container) {
  ContainerRecord record = container;
  OrderTimes(record);
  RETURN_IF_ERROR_AS(WriteNow(Key(ContainerId(record.id())), Putting(record)),
                     "save container " + record.id());
  Show(std::move(record));
  return OkStatus();
}

Status Ledger::Erase(const SandboxId& id) {
  RETURN_IF_ERROR_AS(WriteNow(Key(id),
                              [this, id](Transaction& tx) {
                                return sandboxes_.Erase(tx, id.str());
                              }),
                     "forget sandbox " + id.str());
  inventory_.Erase(id);
  return OkStatus();
}

Status Ledger::Erase(const ContainerId& id) {
  RETURN_IF_ERROR_AS(WriteNow(Key(id), Erasing(id)),
                     "forget container " + id.str());
  inventory_.Erase(id);
  Tell(id, nullptr);
  return OkStatus();
}

void Ledger::Keep(const SandboxRecord& sandbox) {
  SandboxRecord record = sandbox;
  OrderTimes(record);
  WriteSurely(Key(SandboxId(record.id())), Putting(record), "save");
  Show(std::move(record));
}

void Ledger::Keep(const ContainerRecord& container) {
  ContainerRecord record = container;
  OrderTimes(record);
  WriteSurely(Key(ContainerId(record.id())), Putting(record), "save");
  Show(std::move(record));
}

void Ledger::Forget(const SandboxId& id) {
  WriteSurely(
      Key(id),
      [this, id](Transaction& tx) { return sandboxes_.Erase(tx, id.str()); },
      "forget");
  inventory_.Erase(id);
}

void Ledger::Forget(const ContainerId& id) {
  WriteSurely(Key(id), Erasing(id), "forget");
  inventory_.Erase(id);
  Tell(id, nullptr);
}

void Ledger::Show(SandboxRecord sandbox) {
  inventory_.Put(std::make_shared<SandboxRecord>(std::move(sandbox)));
}

void Ledger::Show(ContainerRecord container) {
  const auto now = std::make_shared<ContainerRecord>(std::move(container));
  inventory_.Put(now);
  Tell(ContainerId(now->id()), now);
}

Status Ledger::Store(const Write& write) {
  if (fault_) RETURN_IF_ERROR(fault_());
  return store_.Update(write);
}

Status Ledger::WriteNow(const std::string& key, const Write& write) {
  MutexLock order(writing_);
  RETURN_IF_ERROR(Store(write));
  MutexLock lock(mutex_);
  if (unsaved_.empty()) return OkStatus();
  Settle(key);
  room_ = true;
  StartRetrying();
  return OkStatus();
}

void Ledger::WriteSurely(const std::string& key, Write write,
                         const std::string& what) {
  MutexLock order(writing_);
  const Status written = Store(write);
  MutexLock lock(mutex_);
  if (written.ok()) {
    Settle(key);
    room_ = true;
  } else {
    LOG(WARNING) << what << " " << key << ": " << Message(written)
                 << "; kept in memory until it can be saved";
    unsaved_[key] = std::move(write);
  }
  if (!unsaved_.empty()) StartRetrying();
}

// ---- Trying again -----------------------------------------------------------

void Ledger::StartRetrying() {
  retry_.Signal();
  if (retrier_.joinable() || until_.cancelled()) return;
  StatusOr<Thread> thread = StartThread("ledger", [this] { Retry(); });
  if (thread.ok()) {
    retrier_ = *std::move(thread);
  } else {  // the next write tries again
    LOG(WARNING) << "save records later: " << Message(thread.status());
  }
}

void Ledger::Retry() {
  Duration delay = kFirstRetry;
  while (!until_.cancelled()) {
    {
      MutexLock lock(mutex_);
      if (!until_
               .Await(mutex_, retry_,
                      [this]() NO_THREAD_SAFETY_ANALYSIS {
                        return !unsaved_.empty();
                      })
               .ok()) {
        return;
      }
      room_ = false;
      // Whether it is time, or somebody else's write has found room.
      until_.WithTimeout(delay)
          .Await(mutex_, retry_,
                 [this]() NO_THREAD_SAFETY_ANALYSIS { return room_; })
          .IgnoreError();
    }
    delay = RetryAll() ? kFirstRetry : std::min(2 * delay, kLastRetry);
  }
}

bool Ledger::RetryAll() {
  std::vector<std::string> keys;
  {
    MutexLock lock(mutex_);
    for (const auto& [key, write] : unsaved_) keys.push_back(key);
  }
  for (const std::string& key : keys) {
    MutexLock order(writing_);
    Write write;
    {
      MutexLock lock(mutex_);
      const auto found = unsaved_.find(key);
      if (found == unsaved_.end()) continue;
      write = found->second;
    }
    // One that fails says nothing of the others: they may be smaller.
    if (!Store(write).ok()) continue;
    LOG(INFO) << key << ": saved at last";
    MutexLock lock(mutex_);
    Settle(key);
  }
  return unsaved() == 0;
}

void Ledger::Settle(const std::string& key) {
  if (unsaved_.erase(key) == 0 || !saved_late_) return;
  if (!StartsWith(key, kContainerKey)) return;
  saved_late_(ContainerId(key.substr(kContainerKey.size())));
}

bool Ledger::IsSaved(const ContainerId& id) const {
  MutexLock lock(mutex_);
  return unsaved_.count(Key(id)) == 0;
}

size_t Ledger::unsaved() const {
  MutexLock lock(mutex_);
  return unsaved_.size();
}

// ---- Waiting ----------------------------------------------------------------

StatusOr<ContainerStatus> Ledger::Await(
    const Context& ctx, const ContainerId& id,
    const std::function<bool(const ContainerRecord&)>& done) {
  Waiter waiter{id, done, nullptr};
  {
    MutexLock lock(mutex_);
    waiters_.insert(&waiter);
  }
  const absl::Cleanup leave = [&] {
    MutexLock lock(mutex_);
    waiters_.erase(&waiter);
  };
  // What is written from now on is told.
  const ContainerStatus now = inventory_.FindContainer(id);
  if (now && done(*now)) return now;
  MutexLock lock(mutex_);
  waiter.gone |= !now;
  RETURN_IF_ERROR_AS(
      ctx.Await(mutex_, told_,
                [&waiter] { return waiter.found || waiter.gone; }),
      "wait for container " + id.str());
  if (waiter.found) return waiter.found;
  return NotFound("wait for container " + id.str() + ": removed");
}

void Ledger::Tell(const ContainerId& id, const ContainerStatus& now) {
  MutexLock lock(mutex_);
  for (Waiter* const waiter : waiters_) {
    if (waiter->id != id || waiter->found) continue;
    waiter->gone = !now;
    if (now && waiter->done(*now)) waiter->found = now;
  }
  told_.SignalAll();
}

}  // namespace berth::sandbox
