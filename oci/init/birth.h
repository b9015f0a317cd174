// How a process of a container comes into the world.
#ifndef OCI_INIT_BIRTH_H_
#define OCI_INIT_BIRTH_H_

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"
#include "oci/cgroup/cgroup.h"
#include "oci/init/handshake.h"
#include "oci/init/listener_post.h"
#include "oci/init/mount_plan.h"
#include "oci/init/process_io.h"
#include "oci/init/seccomp.h"
#include "oci/spec/spec.h"

namespace berth::oci {

// The state JSON for a hook that sees the init under this pid.
using HookState = std::function<std::string(const char* status, pid_t pid)>;

// Everything that the init is made from; all of it outlives the birth.
struct InitRequest {
  std::string id;
  const Spec& spec;
  const MountPlan& mounts;
  std::vector<UniqueFd>& prepared_mounts;  // taken by the init's copy
  std::string rootfs;                      // absolute
  std::string bundle;  // absolute: where the runtime's hooks begin
  const ProcessIo& io;
  const SeccompFilter* filter = nullptr;
  // With a filter that has a listener. The caller passes it on, after LetGo.
  ListenerPost* post = nullptr;
  Cgroup& cgroup;
  // Files that the process writes "0" to, to join what has no other way in.
  std::vector<std::string> resctrl_tasks = {};
  bool no_pivot = false;
  // Two fifos, open for reading and writing. A byte in `start` lets it go;
  // `result` tells how that went: "x", then the end of file at execve, or the
  // text of an error.
  int start = -1;
  int result = -1;
  HookState hook_state;
};

struct Born {
  pid_t pid = 0;
  UniqueFd pidfd;  // invalid if it has been exec'd, has ended and is reaped
  UniqueFd console;
  std::vector<std::string> warnings;

  // Of an init, one of the two: where it hears that its state is on disk.
  Handshake channel;
  UniqueFd go;

  // Says so: it now waits for start, and for nothing else.
  Status LetGo();
};

// The order of events, one process (two with a user namespace by path):
//
//   runtime   open namespaces; clone3 with the new ones
//   init      into its cgroup; (ids mapped); join namespaces
//             root opened, sources opened; host name, sysctls, loopback
//             mounts, devices, links; terminal
//   runtime   prestart and createRuntime hooks
//   init      createContainer hooks; pivot; read-only and masked paths
//             limits, no_new_privs, directory, ids, capabilities
//             descriptors closed, program looked up: ready
//             ... waits for start; startContainer hooks; seccomp; execve
//
// A filter that has a listener is loaded before the wait, and the runtime
// passes the listener on before create returns (listener_post.h).
//
// If it joins a pid namespace, all up to "ready" is done by a process outside
// of that one, which the hooks are told the pid of (entry.h).
//
// On error the process is dead and (unless io.sibling) reaped.
StatusOr<Born> BearInit(const InitRequest& request);

struct ExecRequest {
  std::string id;
  const ProcessSpec& process;
  const ProcessIo& io;
  const SeccompFilter* filter = nullptr;
  ListenerPost* post = nullptr;  // with a filter that has a listener
  Cgroup& cgroup;
  std::vector<std::string> resctrl_tasks = {};  // as of an init
  pid_t init_pid = 0;
  int init_pidfd = -1;  // whose namespaces are joined
  int namespaces = 0;   // CLONE_NEW* flags, all that the init has
  bool user_namespace = false;
  const Linux& linux;  // of the container
};

// One more process in the namespaces of an init; returns when it has been
// exec'd.
StatusOr<Born> BearExec(const ExecRequest& request);

}  // namespace berth::oci

#endif  // OCI_INIT_BIRTH_H_
