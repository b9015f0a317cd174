#ifndef SANDBOX_SANDBOX_MANAGER_H_
#define SANDBOX_SANDBOX_MANAGER_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/state/v1/state.pb.h"
#include "base/context.h"
#include "base/status.h"
#include "sandbox/ids.h"
#include "sandbox/inventory.h"

namespace berth::sandbox {

class World;

// Makes, ends and forgets sandboxes: the lifecycle verbs. Asking is
// Inventory's part; what happens is told by EventBus.
//
// A verb holds the sandbox's lock from first line to last; Stop and Remove
// take the locks of its containers below it. Every verb but Create may be
// repeated: it finishes what the last try left. An unknown id is success for
// Stop and Remove and NOT_FOUND for the others.
//
// Thread-safe. Everything it needs is in World, which must outlive it.
class SandboxManager {
 public:
  explicit SandboxManager(World& world);
  ~SandboxManager();
  SandboxManager(const SandboxManager&) = delete;
  SandboxManager& operator=(const SandboxManager&) = delete;

  // Validates, reserves the name and records; nothing runs yet. A second
  // Create with the metadata of a sandbox that is being created or started
  // returns that one's id, so that a client's retry joins its first try;
  // ALREADY_EXISTS for one that is READY or later. INVALID_ARGUMENT and
  // UNIMPLEMENTED name the field.
  StatusOr<SandboxId> Create(const Context& ctx, const SandboxConfig& config);

  // CREATED (STANDALONE: also STOPPED) -> READY. Started already: OK. On
  // failure everything is released; a POD's record and name are gone too,
  // unless releasing failed: then it stays, STOPPED, for Stop and Remove.
  Status Start(const Context& ctx, const SandboxId& id);

  // Create and Start, for a caller that has no word for what is half made: a
  // retry waits for the first try, and for its cleaning up if it fails, and
  // then makes its own. Never NOT_FOUND.
  StatusOr<SandboxId> Run(const Context& ctx, const SandboxConfig& config);

  // Records new limits of the pod as a whole (informative for us: the pod's
  // cgroup belongs to the caller). What is not given stays as it is.
  Status Update(const Context& ctx, const SandboxId& id,
                const std::optional<state::v1::Resources>& overhead,
                const std::optional<state::v1::Resources>& resources);

  // Kills every container and releases all resources. A resource that cannot
  // be released fails the verb, and the sandbox stays STOPPING.
  Status Stop(const Context& ctx, const SandboxId& id);

  // Stop, then all containers, files, record and name.
  Status Remove(const Context& ctx, const SandboxId& id);

  // Attaches it to one more network: now if it is READY, else at each start.
  // ALREADY_EXISTS if it is on that network; FAILED_PRECONDITION if it has no
  // network of its own.
  Status Connect(const Context& ctx, const SandboxId& id,
                 const state::v1::NetworkAttachment& network);
  // By SandboxConfig.networks' `network`. NOT_FOUND also for a network that it
  // is not on.
  Status Disconnect(const Context& ctx, const SandboxId& id,
                    const std::string& network);

  // Replaces SandboxConfig.linked_hosts, in the file of a sandbox that is READY
  // too.
  Status SetLinkedHosts(const Context& ctx, const SandboxId& id,
                        const std::vector<std::string>& lines);

  // Replaces SandboxConfig.door_notes.
  Status SetDoorNotes(const Context& ctx, const SandboxId& id,
                      const std::string& notes);

 private:
  World& world_;
};

}  // namespace berth::sandbox

#endif  // SANDBOX_SANDBOX_MANAGER_H_
