// The mounts of a container, as values for its config.json.
#ifndef SANDBOX_SPEC_MOUNTS_H_
#define SANDBOX_SPEC_MOUNTS_H_

#include <string>
#include <string_view>
#include <vector>

#include "api/state/v1/state.pb.h"
#include "base/context.h"
#include "base/status.h"
#include "oci/spec/spec.h"

namespace berth::sandbox {

// By this word kubelet knows that an image could not be mounted as a volume.
inline constexpr char kImageMountWord[] = "ImageVolumeMountFailed";

// How the host's mounts pass events on: /proc/self/mountinfo at one moment.
// A value; thread-compatible.
class HostMounts {
 public:
  // Of the text of a mountinfo file (proc_pid_mountinfo(5)).
  explicit HostMounts(std::string_view mountinfo);
  // Empty, and no file is read, if no mount of `config` depends on it.
  static StatusOr<HostMounts> Read(const std::string& proc,
                                   const state::v1::ContainerConfig& config);

  // Of the mount that `path` (absolute, no links in it) is on.
  bool IsShared(const std::string& path) const;
  bool IsSharedOrSlave(const std::string& path) const;

 private:
  struct Entry {
    std::string mount_point;
    bool shared = false;
    bool slave = false;
  };
  const Entry* Find(const std::string& path) const;

  std::vector<Entry> entries_;  // later ones lie over earlier ones
};

struct MountPlan {
  std::vector<oci::MountSpec> mounts;
  // linux.rootfsPropagation: what the mounts need; empty: the default.
  std::string rootfs_propagation;
};

// What the request lists. `image_roots` are the directories where its image
// mounts (in their order) are mounted on the host. Links of host paths are
// followed here and now; a missing host directory is made.
// INVALID_ARGUMENT: contradictions and propagation that the host cannot give.
StatusOr<MountPlan> RequestedMounts(const Context& ctx,
                                    const state::v1::SandboxRecord& sandbox,
                                    const state::v1::ContainerRecord& container,
                                    const std::vector<std::string>& image_roots,
                                    const HostMounts& host);

// What every container has, unless the request mounts something there. Pure.
std::vector<oci::MountSpec> StandardMounts(
    const state::v1::SandboxRecord& sandbox,
    const state::v1::ContainerRecord& container);

// Both, parents before what is in them. Pure.
std::vector<oci::MountSpec> MergeMounts(
    std::vector<oci::MountSpec> standard,
    const std::vector<oci::MountSpec>& requested);

// "/a//b/./c/" -> "/a/b/c"; ".." goes up, never above the root. Pure.
std::string CleanPath(std::string_view path);

}  // namespace berth::sandbox

#endif  // SANDBOX_SPEC_MOUNTS_H_
