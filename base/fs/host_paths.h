#ifndef BASE_FS_HOST_PATHS_H_
#define BASE_FS_HOST_PATHS_H_

#include <string>
#include <string_view>

namespace berth {

// Where the host keeps what we read and where we keep what is ours: the one
// place that spells these paths. Tests point them at a tree of their own, and
// several daemons run side by side when `root` and `state` differ.
//
//   root    /var/lib/berth  meta.db · content/ · snapshots/ · containers/<id>/
//                           volumes/
//   state   /run/berth      sandboxes/<id>/{netns,ipcns,utsns,shim.sock,shm}
//                           containers/<id>/ · oci/<id>/
//
// `state` is expected to be empty after a boot. A value, no trailing slashes.
struct HostPaths {
  std::string proc = "/proc";
  std::string sys = "/sys";
  std::string cgroup = "/sys/fs/cgroup";
  std::string dev = "/dev";
  std::string root = "/var/lib/berth";
  std::string state = "/run/berth";

  std::string MetadataFile() const { return root + "/meta.db"; }
  // What of a container outlives a boot: its log, hosts, hostname.
  std::string ContainerRoot(std::string_view id) const {
    return root + "/containers/" + std::string(id);
  }
  // The bundle and fifos.
  std::string ContainerState(std::string_view id) const {
    return state + "/containers/" + std::string(id);
  }
  // Pinned namespaces, the shim's socket, /dev/shm.
  std::string SandboxState(std::string_view id) const {
    return state + "/sandboxes/" + std::string(id);
  }
  std::string NetworkNamespace(std::string_view id) const {
    return SandboxState(id) + "/netns";
  }
  // state.json of each container, as the OCI runtime library keeps it.
  std::string OciDirectory() const { return state + "/oci"; }
};

}  // namespace berth

#endif  // BASE_FS_HOST_PATHS_H_
