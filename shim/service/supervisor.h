#ifndef SHIM_SERVICE_SUPERVISOR_H_
#define SHIM_SERVICE_SUPERVISOR_H_

#include <string>

#include "api/shim/types/runc/options/oci.pb.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::shim {

struct SupervisorConfig {
  std::string name_space;
  std::string state_dir;      // our working directory
  std::string scratch_dir;    // for a runtime's files; removed at the end
  std::string event_address;  // the manager's ttrpc socket; may be empty
  std::string socket_path;    // removed at the end
  // Notes for cleaning up go to each container's bundle, not to state_dir.
  bool records_in_bundles = false;
  containerd::runc::v1::Options options;
};

// The shim once it stands on its own: one thread, one event loop, until it is
// told to end (Task.Shutdown, Sandbox.ShutdownSandbox, SIGTERM). `listener`
// is its socket.
Status RunSupervisor(const SupervisorConfig& config, UniqueFd listener);

}  // namespace berth::shim

#endif  // SHIM_SERVICE_SUPERVISOR_H_
