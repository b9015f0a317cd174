// The pseudo terminal of a container's process. Source: pty(7),
// ioctl_tty(2); runc's docs/terminals.md.
#ifndef OCI_INIT_TERMINAL_H_
#define OCI_INIT_TERMINAL_H_

#include <optional>
#include <string>

#include "base/fs/rooted_path.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "oci/spec/spec.h"

namespace berth::oci {

struct Terminal {
  UniqueFd master;
  UniqueFd slave;
};

// A new one from the container's own devpts, owned by `owner`. The slave
// comes from the master, never by name (CVE-2025-52565).
StatusOr<Terminal> OpenTerminal(const RootedPath& root,
                                const std::optional<ConsoleSize>& size,
                                uid_t owner);

// Makes the slave 0, 1, 2 of the calling process.
Status UseTerminal(int slave);

// Hands the master to whoever listens at the socket: one message, with the
// name of what it is and the fd.
Status SendMaster(const std::string& socket, int master);

}  // namespace berth::oci

#endif  // OCI_INIT_TERMINAL_H_
