// Docker's verbs that take more than one of the managers'.
#ifndef DOCKER_LIFECYCLE_H_
#define DOCKER_LIFECYCLE_H_

#include <chrono>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"
#include "docker/engine.h"
#include "docker/volume_store.h"

namespace berth::docker {

// What nobody waits for has failed: one line in the log. Nothing if it is OK.
void LogFailure(const std::string& doing, const Status& status);

// For what follows an end, and a removal.
inline constexpr Duration kWindUpLimit = std::chrono::minutes(5);

// For a verb that goes on although its client leaves: ends with the daemon.
Context Lasting(const Engine& engine);

// Sandbox, then container. The caller holds the container's lifecycle lock. A
// start that fails leaves neither running, and with AutoRemove nothing at all.
Status StartContainer(Engine& engine, const Context& ctx, const View& view);

// The notes' marks of what a person did; the caller holds the lifecycle lock
// or does not care what else happens at the same time.
Status MarkStoppedByHand(Engine& engine, const Context& ctx,
                         const std::string& id);
// Before a start that begins to count restarts anew.
Status MarkStartedByHand(Engine& engine, const Context& ctx,
                         const std::string& id);

// What follows an exit: nothing if it runs again, else the restart policy, the
// end of the sandbox, AutoRemove; and the rest of a removal. What fails is
// tried again later. The context is for the wait for the lifecycle lock.
Status SettleExit(Engine& engine, const Context& ctx, const std::string& id);

// The container with its sandbox and log; its anonymous volumes too if
// `volumes`. The caller holds the lifecycle lock, and a context that does not
// end with its client: half of a removal keeps the name.
Status RemoveContainer(Engine& engine, const Context& ctx, const View& view,
                       bool volumes);

// The volumes of a container, mounted where that is needed. They stay so while
// this lives, or a container that uses them runs. Must not outlive the engine.
// Thread-compatible.
class [[nodiscard]] MountedVolumes {
 public:
  static StatusOr<MountedVolumes> Of(Engine& engine, const Context& ctx,
                                     const View& view);
  MountedVolumes(MountedVolumes&&) = default;
  MountedVolumes& operator=(MountedVolumes&&) = delete;
  ~MountedVolumes();

 private:
  explicit MountedVolumes(Engine& engine) : engine_(engine) {}
  Engine& engine_;
  std::vector<std::string> names_;
  std::vector<VolumeStore::Use> uses_;
};

// After its end: those that no other container needs are unmounted.
void UnmountVolumes(Engine& engine, const View& view);

// Ids of the containers that use a volume.
std::vector<std::string> UsersOf(const Engine& engine,
                                 const std::string& volume);

// NOT_FOUND, or FAILED_PRECONDITION if a container uses it.
Status RemoveVolume(Engine& engine, const Context& ctx,
                    const std::string& name);

}  // namespace berth::docker

#endif  // DOCKER_LIFECYCLE_H_
