#ifndef SANDBOX_INVENTORY_H_
#define SANDBOX_INVENTORY_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/state/v1/state.pb.h"
#include "base/mutex.h"
#include "base/status.h"
#include "sandbox/ids.h"

namespace berth::sandbox {

using ::berth::state::v1::ContainerConfig;
using ::berth::state::v1::ContainerPhase;
using ::berth::state::v1::ContainerRecord;
using ::berth::state::v1::SandboxConfig;
using ::berth::state::v1::SandboxKind;
using ::berth::state::v1::SandboxPhase;
using ::berth::state::v1::SandboxRecord;

// A saved record, shared and never changed: a newer one replaces it.
using SandboxStatus = std::shared_ptr<const SandboxRecord>;
using ContainerStatus = std::shared_ptr<const ContainerRecord>;

// All that is set must hold.
struct SandboxFilter {
  std::string id_or_prefix;
  std::optional<SandboxKind> kind;
  // true: READY only; false: all but READY.
  std::optional<bool> ready;
  std::map<std::string, std::string> labels;
};

struct ContainerFilter {
  std::string id_or_prefix;
  std::string sandbox_id_or_prefix;
  std::optional<SandboxKind> kind;
  std::vector<ContainerPhase> phases;  // empty: any
  std::map<std::string, std::string> labels;
};

// The query side: every sandbox and container as it is. Never waits for
// a verb, nor for the disk. The doors hold it const; only Ledger writes.
//
// Objects that their creator has not finished (a pod before READY, a record
// whose Create still runs) are hidden from all four queries.
// Thread-safe.
class Inventory {
 public:
  // Of the kind alone, if one is given. NOT_FOUND; INVALID_ARGUMENT for an
  // ambiguous prefix.
  StatusOr<SandboxStatus> Sandbox(std::string_view id_or_prefix,
                                  std::optional<SandboxKind> kind = {}) const;
  StatusOr<ContainerStatus> Container(
      std::string_view id_or_prefix,
      std::optional<SandboxKind> kind = {}) const;
  // By age, oldest first.
  std::vector<SandboxStatus> Sandboxes(const SandboxFilter& filter) const;
  std::vector<ContainerStatus> Containers(const ContainerFilter& filter) const;

  // The same for the managers, hidden ones included; null if there is none.
  SandboxStatus FindSandbox(const SandboxId& id) const;
  ContainerStatus FindContainer(const ContainerId& id) const;
  std::vector<SandboxStatus> AllSandboxes() const;
  std::vector<ContainerStatus> AllContainers() const;
  std::vector<ContainerStatus> ContainersOf(const SandboxId& id) const;

 private:
  friend class Ledger;
  bool IsOf(const ContainerRecord& container, SandboxKind kind) const
      REQUIRES(mutex_);
  void Put(SandboxStatus sandbox);
  void Put(ContainerStatus container);
  void Erase(const SandboxId& id);
  void Erase(const ContainerId& id);

  mutable Mutex mutex_;
  std::map<std::string, SandboxStatus, std::less<>> sandboxes_
      GUARDED_BY(mutex_);
  std::map<std::string, ContainerStatus, std::less<>> containers_
      GUARDED_BY(mutex_);
};

}  // namespace berth::sandbox

#endif  // SANDBOX_INVENTORY_H_
