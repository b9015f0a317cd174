#include "sandbox/ledger/ledger.h"

#include <map>
#include <memory>
#include <string>
#include <utility>

namespace berth::sandbox {
namespace {

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

}  // namespace

Ledger::Ledger(MetadataStore& store, Inventory& inventory)
    : store_(store), inventory_(inventory) {}

Status Ledger::Load() {
  std::map<std::string, SandboxRecord> sandboxes;
  std::map<std::string, ContainerRecord> containers;
  RETURN_IF_ERROR_AS(store_.View([&](const Transaction& tx) -> Status {
    ASSIGN_OR_RETURN(sandboxes, sandboxes_.All(tx));
    ASSIGN_OR_RETURN(containers, containers_.All(tx));
    SetStrangeAside(tx, "sandboxes", sandboxes);
    SetStrangeAside(tx, "containers", containers);
    return OkStatus();
  }),
                     "load records of sandboxes");
  for (auto& [id, sandbox] : sandboxes) {
    inventory_.Put(std::make_shared<SandboxRecord>(std::move(sandbox)));
  }
  for (auto& [id, container] : containers) {
    inventory_.Put(std::make_shared<ContainerRecord>(std::move(container)));
  }
  return OkStatus();
}

Status Ledger::Save(const SandboxRecord& sandbox) {
  RETURN_IF_ERROR_AS(store_.Update([&](Transaction& tx) {
    return sandboxes_.Put(tx, sandbox.id(), sandbox);
  }),
                     "save sandbox " + sandbox.id());
  inventory_.Put(std::make_shared<SandboxRecord>(sandbox));
  Changed();
  return OkStatus();
}

Status Ledger::Save(const ContainerRecord& container) {
  RETURN_IF_ERROR_AS(store_.Update([&](Transaction& tx) {
    return containers_.Put(tx, container.id(), container);
  }),
                     "save container " + container.id());
  inventory_.Put(std::make_shared<ContainerRecord>(container));
  Changed();
  return OkStatus();
}

Status Ledger::Erase(const SandboxId& id) {
  RETURN_IF_ERROR_AS(store_.Update([&](Transaction& tx) {
    return sandboxes_.Erase(tx, id.str());
  }),
                     "forget sandbox " + id.str());
  inventory_.Erase(id);
  Changed();
  return OkStatus();
}

Status Ledger::Erase(const ContainerId& id) {
  RETURN_IF_ERROR_AS(store_.Update([&](Transaction& tx) {
    return containers_.Erase(tx, id.str());
  }),
                     "forget container " + id.str());
  inventory_.Erase(id);
  Changed();
  return OkStatus();
}

StatusOr<ContainerStatus> Ledger::Await(
    const Context& ctx, const ContainerId& id,
    const std::function<bool(const ContainerRecord&)>& done) {
  uint64_t seen;
  while (true) {
    {
      MutexLock lock(mutex_);
      seen = version_;
    }
    const ContainerStatus now = inventory_.FindContainer(id);
    if (!now) return NotFound("wait for container " + id.str() + ": removed");
    if (done(*now)) return now;
    MutexLock lock(mutex_);
    RETURN_IF_ERROR_AS(
        ctx.Await(mutex_, changed_,
                  [&]() NO_THREAD_SAFETY_ANALYSIS { return version_ != seen; }),
        "wait for container " + id.str());
  }
}

void Ledger::Changed() {
  MutexLock lock(mutex_);
  ++version_;
  changed_.SignalAll();
}

}  // namespace berth::sandbox
