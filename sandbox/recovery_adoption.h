// The first part of recovery, for one sandbox (recovery.h).
#ifndef SANDBOX_RECOVERY_ADOPTION_H_
#define SANDBOX_RECOVERY_ADOPTION_H_

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/keyed_mutex.h"
#include "base/status.h"
#include "sandbox/core.h"
#include "sandbox/ids.h"

namespace berth::sandbox {

// Finds out what became of a sandbox that was READY, and of its containers that
// were alive. Holds their locks from its making to its end, so that no verb
// meets a container that nobody watches. Thread-compatible.
class Adoption {
 public:
  // `sandbox_id` may name a record that is lost, whose containers are left. A
  // shim may be silent until `patience`.
  Adoption(Core& core, const std::string& sandbox_id,
           const std::vector<ContainerStatus>& alive, SteadyTime patience);

  // OK when all is known: they are as they were, or they are lost.
  // An error: the shim has not answered; try again.
  Status Try(const Context& ctx);

 private:
  Status TrySandbox(const Context& ctx);
  Status TryShim(const Context& ctx, SandboxRecord sandbox);
  Status TryContainer(const Context& ctx, const ContainerId& id);
  void Hold(KeyedMutex& locks, const std::string& id);
  // A shim that does not answer yet, or a daemon that ends.
  bool Undecided(const Context& ctx, const Status& status) const;

  Core& core_;
  const SandboxId id_;
  std::vector<ContainerId> containers_;
  const SteadyTime patience_;
  std::vector<KeyedMutex::Lock> locks_;
  bool sandbox_known_ = false;
};

// Marks a sandbox as lost: its containers are to be ended next, and what it
// owns to be given back. Needs no room on the disk.
void MarkLost(Core& core, SandboxRecord sandbox, const std::string& reason,
              const std::string& message);

}  // namespace berth::sandbox

#endif  // SANDBOX_RECOVERY_ADOPTION_H_
