// What an init and an exec'd process have in common: from the moment they
// stand in their namespaces to execve. Runs in the new process.
#ifndef OCI_INIT_PROCESS_SETUP_H_
#define OCI_INIT_PROCESS_SETUP_H_

#include <string>
#include <vector>

#include "base/fs/rooted_path.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "oci/init/handshake.h"
#include "oci/init/process_io.h"
#include "oci/init/seccomp.h"
#include "oci/spec/spec.h"

namespace berth::oci {

// A program that is ready to run: found, and everything around it in place.
struct Program {
  std::string path;
  std::vector<std::string> args;
  std::vector<std::string> env;
};

// A session of its own, no signal handlers or mask of the runtime's, and 0, 1,
// 2 from `io`, owned by the user where they are pipes or terminals (never the
// host's /dev/null).
Status TakeStdio(const ProcessIo& io);
void GiveStdioTo(uid_t owner);
// The same for fds that are not in place yet, by a runtime that may do it: a
// process in a user namespace may not. `owner` is the host's id.
void GiveIoTo(const ProcessIo& io, uid_t owner);

// Limits, umask, no_new_privs, the filter if it needs privilege, directory,
// ids, capabilities; then looks the program up. The caller is still itself if
// this fails, but good for nothing. `filter` may be null.
StatusOr<Program> PrepareProcess(const ProcessSpec& process,
                                 const RootedPath& root,
                                 const SeccompFilter* filter,
                                 bool user_namespace, const Handshake& channel);

// Label, the filter if it waited for no_new_privs, fds closed, execve: returns
// only to say why not.
Status RunProgram(const ProcessSpec& process, const Program& program,
                  const SeccompFilter* filter, const UniqueFd& label,
                  int preserve_fds);

}  // namespace berth::oci

#endif  // OCI_INIT_PROCESS_SETUP_H_
