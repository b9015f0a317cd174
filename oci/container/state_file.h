// What the runtime remembers of a container, in ROOT/ID:
//
//   state.json   StateFile, replaced as a whole
//   config.json  the configuration as Create read it, with the limits that
//                Update has set since; later edits of the bundle's have no
//                effect
//   exec.fifo    there until start: a byte in it lets the init go
//   exec.result  how that went
//   notify/      the container's /run/notify, if there is a NOTIFY_SOCKET
#ifndef OCI_CONTAINER_STATE_FILE_H_
#define OCI_CONTAINER_STATE_FILE_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace berth::oci {

// The specification's states, and ours for a frozen one.
enum class ContainerStatus { kCreating, kCreated, kRunning, kPaused, kStopped };
const char* StatusName(ContainerStatus status);  // "created"

// The specification's state, and what runc adds to it.
struct OciState {
  std::string oci_version;
  std::string id;
  ContainerStatus status = ContainerStatus::kStopped;
  pid_t pid = 0;  // 0 when stopped
  std::string bundle;
  std::string rootfs;
  UnixNanos created = 0;
  std::map<std::string, std::string> annotations;
  std::string owner;  // user name, may be empty
};
std::string ToJson(const OciState& state);  // indented, as runc prints it
std::string ToJsonLine(const OciState& state);
// The specification's own members only, one line: what hooks read.
std::string ToHookJson(const OciState& state);

// ROOT/ID/state.json. A value; thread-compatible.
struct StateFile {
  std::string directory;  // ROOT/ID, not stored
  std::string id;
  std::string oci_version;
  pid_t pid = 0;
  // Of the pid, in clock ticks after boot: a pid may be used again.
  uint64_t start_time = 0;
  std::string bundle;
  std::string rootfs;
  UnixNanos created = 0;
  std::string cgroup_path;
  bool systemd_cgroup = false;  // a scope of systemd's
  bool crun_dialect = false;    // as CreateOptions has it
  // Without a mount namespace: the mount made at `rootfs` (rootfs.h).
  uint64_t made_mount = 0;
  std::map<std::string, std::string> annotations;
  // Groups of its own, and the files by which its processes join theirs
  // (resctrl.h).
  std::string resctrl_control;
  std::string resctrl_monitoring;
  std::vector<std::string> resctrl_tasks;

  Status Save() const;
  // NOT_FOUND ("container \"x\" does not exist").
  static StatusOr<StateFile> Load(const std::string& root,
                                  const std::string& id);

  std::string Path(const char* name) const { return directory + "/" + name; }
};

inline constexpr char kConfigCopy[] = "config.json";
inline constexpr char kStartFifo[] = "exec.fifo";
inline constexpr char kResultFifo[] = "exec.result";
// A directory, if somebody waits for a word of the container, and its socket.
inline constexpr char kNotifyDirectory[] = "notify";
inline constexpr char kNotifySocket[] = "notify.sock";

// Where compiled filters are kept: ROOT/@seccomp, which can be no id.
std::string SeccompCacheOf(const std::string& container_directory);

// Letters, digits and "_+.-", at most 1024, not "." or "..".
Status CheckContainerId(const std::string& id);

// All of ROOT/ID, the directory too. OK if it is gone.
Status RemoveStateDirectory(const std::string& directory);

// Replaces a file whole. Not flushed: it describes processes, which no power
// cut leaves alive.
Status ReplaceFile(const std::string& path, std::string_view contents,
                   mode_t mode);

}  // namespace berth::oci

#endif  // OCI_CONTAINER_STATE_FILE_H_
