#ifndef SANDBOX_CONTAINER_MANAGER_H_
#define SANDBOX_CONTAINER_MANAGER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/state/v1/state.pb.h"
#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"
#include "sandbox/ids.h"
#include "sandbox/inventory.h"
#include "sandbox/record/name_index.h"

namespace berth::sandbox {

class World;

struct HowToStop {
  int signal = 0;  // instead of the stop signal, by a second call too
  // The run that is meant (ContainerRecord.run); OK if it has ended.
  std::optional<uint64_t> run = std::nullopt;
};

// The lifecycle of containers. A verb holds the container's lock from first
// line to last, except while it waits for a process to exit.
//
// Stop and Remove of an unknown id succeed; every other verb says NOT_FOUND,
// and of nothing else: what is missing inside of a verb has other codes
// (step.h). A verb in a wrong phase is FAILED_PRECONDITION.
//
// Thread-safe. Everything it needs is in World, which must outlive it.
class ContainerManager {
 public:
  explicit ContainerManager(World& world);
  ~ContainerManager();
  ContainerManager(const ContainerManager&) = delete;
  ContainerManager& operator=(const ContainerManager&) = delete;

  // A record and a root file system; no process. POD: the sandbox must be
  // READY. Everything that the configuration alone can get wrong fails here.
  // A second Create of the same name in the same sandbox joins one that runs,
  // and is ALREADY_EXISTS once that is done. STANDALONE: `name`, if given, is
  // the container's on success and free again on failure.
  StatusOr<ContainerId> Create(
      const Context& ctx, const SandboxId& in, const ContainerConfig& config,
      std::optional<NameIndex::Claim> name = std::nullopt);

  // CREATED -> RUNNING (in a STANDALONE sandbox EXITED too). Returns when the
  // user's program has been executed. On failure: EXITED, code 128, reason
  // "StartError". `env` ("NAME=value") is for this run alone, and gives way to
  // the container's own variables.
  Status Start(const Context& ctx, const ContainerId& id,
               const std::vector<std::string>& env = {});

  // For who could not make its sandbox ready: EXITED with that reason, code
  // 128, "StartError", as if Start had failed. FAILED_PRECONDITION if it runs.
  Status FailStart(const Context& ctx, const ContainerId& id,
                   const Status& failure);

  Status Kill(const Context& ctx, const ContainerId& id, int signal);
  Status Freeze(const Context& ctx, const ContainerId& id, bool frozen);
  // Fields of 0 stay as they are. On failure the old limits stay, in the
  // kernel and in the record.
  Status Update(const Context& ctx, const ContainerId& id,
                const state::v1::Resources& limits);

  // The stop signal, `grace`, then SIGKILL; returns when the exit is recorded.
  // A second call with a shorter grace shortens the first one's. When the
  // caller goes away the kill goes on. It never hits a later run than the one
  // that it finds.
  Status Stop(const Context& ctx, const ContainerId& id, Duration grace,
              const HowToStop& how = HowToStop());
  // Kills it first if it runs. Removes all but the log file.
  Status Remove(const Context& ctx, const ContainerId& id);

  // Waits until the container is EXITED (at once if it is), and returns the
  // record of then. NOT_FOUND if it is removed meanwhile.
  StatusOr<ContainerStatus> Wait(const Context& ctx, const ContainerId& id);

  // Replaces ContainerConfig.name; ALREADY_EXISTS if taken in its sandbox, or
  // by another standalone container.
  Status Rename(const Context& ctx, const ContainerId& id,
                const std::string& name);
  // Replaces ContainerConfig.door_notes.
  Status SetDoorNotes(const Context& ctx, const ContainerId& id,
                      const std::string& notes);
  // Pids of all processes in the container's cgroup, as the host sees them.
  StatusOr<std::vector<int>> Pids(const ContainerId& id) const;

 private:
  World& world_;
};

}  // namespace berth::sandbox

#endif  // SANDBOX_CONTAINER_MANAGER_H_
