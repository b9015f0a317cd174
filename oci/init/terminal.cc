#include "oci/init/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <termios.h>
#include <unistd.h>

#include "base/sys/socket.h"

namespace berth::oci {

StatusOr<Terminal> OpenTerminal(const RootedPath& root,
                                const std::optional<ConsoleSize>& size,
                                uid_t owner) {
  Terminal terminal;
  ASSIGN_OR_RETURN_AS(terminal.master,
                      root.Open("/dev/pts/ptmx", O_RDWR | O_NOCTTY),
                      "open a terminal");
  struct statfs fs;
  if (fstatfs(terminal.master.get(), &fs) != 0) return Errno(errno, "fstatfs");
  if (fs.f_type != DEVPTS_SUPER_MAGIC) {
    return FailedPrecondition("/dev/pts/ptmx is not on a devpts");
  }
  int locked = 0;
  if (ioctl(terminal.master.get(), TIOCSPTLCK, &locked) != 0) {
    return Errno(errno, "unlock the terminal");
  }
  terminal.slave.reset(
      ioctl(terminal.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal.slave.valid()) {
    return Errno(errno, "open the terminal's other side");
  }
  if (size) {
    struct winsize window = {};
    window.ws_col = static_cast<unsigned short>(size->width);
    window.ws_row = static_cast<unsigned short>(size->height);
    if (ioctl(terminal.master.get(), TIOCSWINSZ, &window) != 0) {
      return Errno(errno, "set the terminal's size");
    }
  }
  if (fchown(terminal.slave.get(), owner, static_cast<gid_t>(-1)) != 0) {
    return Errno(errno, "chown the terminal");
  }
  return terminal;
}

Status UseTerminal(int slave) {
  for (int fd = 0; fd < 3; ++fd) {
    if (dup2(slave, fd) < 0) return Errno(errno, "dup the terminal");
  }
  return OkStatus();
}

Status SendMaster(const std::string& socket, int master) {
  ASSIGN_OR_RETURN_AS(const UniqueFd connection, ConnectUnix(socket),
                      "connect to the console socket");
  RETURN_IF_ERROR_AS(SendFd(connection.get(), master, "/dev/ptmx"),
                     "send the terminal to the console socket");
  return OkStatus();
}

}  // namespace berth::oci
