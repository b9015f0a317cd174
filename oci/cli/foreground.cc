#include "oci/cli/foreground.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <optional>

#include "base/sys/file.h"
#include "base/sys/process.h"

namespace berth::oci {
namespace {

// Our own terminal in raw mode, as long as this lives.
class RawTerminal {
 public:
  RawTerminal() {
    if (tcgetattr(STDIN_FILENO, &before_) != 0) return;
    struct termios raw = before_;
    cfmakeraw(&raw);
    changed_ = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
  }
  ~RawTerminal() {
    if (changed_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

 private:
  struct termios before_ = {};
  bool changed_ = false;
};

void CopyWindowSize(int console) {
  struct winsize size;
  if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0) {
    ioctl(console, TIOCSWINSZ, &size);
  }
}

// False at the end: of input, or of a terminal whose other side is closed.
bool Move(int from, int to) {
  char bytes[4096];
  const ssize_t n = TEMP_FAILURE_RETRY(read(from, bytes, sizeof(bytes)));
  if (n <= 0) return false;
  return WriteAll(to, std::string_view(bytes, static_cast<size_t>(n))).ok();
}

}  // namespace

StatusOr<Foreground> Foreground::Begin() {
  sigset_t all;
  sigfillset(&all);
  // Bugs of our own must still end us.
  for (const int fatal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) {
    sigdelset(&all, fatal);
  }
  if (sigprocmask(SIG_BLOCK, &all, nullptr) != 0) {
    return Errno(errno, "block signals");
  }
  UniqueFd signals(signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.valid()) return Errno(errno, "signalfd");
  return Foreground(std::move(signals));
}

Status Foreground::PassSignal(const UniqueFd& pidfd, const UniqueFd& console) {
  struct signalfd_siginfo info;
  if (read(signals_.get(), &info, sizeof(info)) !=
      static_cast<ssize_t>(sizeof(info))) {
    return OkStatus();
  }
  const int signal = static_cast<int>(info.ssi_signo);
  if (signal == SIGCHLD || signal == SIGURG || signal == SIGPIPE) {
    return OkStatus();
  }
  if (signal == SIGWINCH) {
    if (console.valid()) CopyWindowSize(console.get());
    return OkStatus();
  }
  return IgnoreNotFound(SignalProcess(pidfd.get(), signal));
}

// systemd watches us, who stay as long as the container does (as with runc).
StatusOr<int> Foreground::Wait(pid_t pid, const UniqueFd& pidfd,
                               UniqueFd console,
                               std::optional<NotifyRelay>& relay) {
  std::optional<RawTerminal> raw;
  if (console.valid()) {
    raw.emplace();
    CopyWindowSize(console.get());
  }
  bool input_open = console.valid();
  for (bool exited = false; !exited;) {
    struct pollfd fds[] = {{pidfd.get(), POLLIN, 0},
                           {signals_.get(), POLLIN, 0},
                           {console.valid() ? console.get() : -1, POLLIN, 0},
                           {input_open ? STDIN_FILENO : -1, POLLIN, 0},
                           {relay ? relay->fd() : -1, POLLIN, 0}};
    if (TEMP_FAILURE_RETRY(poll(fds, std::size(fds), -1)) < 0) {
      return Errno(errno, "poll");
    }
    if (fds[1].revents != 0) RETURN_IF_ERROR(PassSignal(pidfd, console));
    if (fds[2].revents != 0 && !Move(console.get(), STDOUT_FILENO)) {
      console.reset();
      input_open = false;
    }
    if (fds[3].revents != 0 && console.valid()) {
      input_open = Move(STDIN_FILENO, console.get());
    }
    if (fds[4].revents != 0 && relay->Pass(getpid())) relay.reset();
    exited = fds[0].revents != 0;
  }
  // What it wrote last is still in the terminal.
  while (console.valid() && Move(console.get(), STDOUT_FILENO)) {
  }
  int status = 0;
  if (TEMP_FAILURE_RETRY(waitpid(pid, &status, 0)) < 0) {
    return Errno(errno, "wait for the process");
  }
  if (relay) relay->Finish(getpid());
  return ExitCodeOf(status);
}

}  // namespace berth::oci
