#ifndef OCI_INIT_PROCESS_IO_H_
#define OCI_INIT_PROCESS_IO_H_

#include <string>

namespace berth::oci {

// What a process of a container gets as its standard streams, and how its
// birth is made known. The fds stay the caller's.
struct ProcessIo {
  // Without a terminal: what becomes 0, 1, 2. -1: the caller's own.
  int stdin_fd = -1;
  int stdout_fd = -1;
  int stderr_fd = -1;

  // With a terminal (process.terminal): a unix socket that the pty's master
  // is sent to (runc's protocol). Empty: the master is handed back. Given
  // without a terminal it is an error.
  std::string console_socket;

  // Where the decimal pid goes, in one rename; empty: nowhere.
  std::string pid_file;

  // The fds 3 .. 3+N-1 of the caller are passed on; all others are closed.
  int preserve_fds = 0;

  // The process becomes a child of the caller's parent (CLONE_PARENT), so
  // that a forked child of a supervisor can make it. The parent must reap.
  bool sibling = false;

  // Join a new session keyring "_ses.<id>" unless set.
  bool no_new_keyring = false;
};

}  // namespace berth::oci

#endif  // OCI_INIT_PROCESS_IO_H_
