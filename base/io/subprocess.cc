#include "base/io/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <set>
#include <string_view>

#include "base/strings.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

struct Pipe {
  UniqueFd ours;
  UniqueFd theirs;
};

StatusOr<Pipe> MakePipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return Errno(errno, "make a pipe");
  Pipe pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
  // Ours alone: both ends are separate open file descriptions.
  if (fcntl(pipe.ours.get(), F_SETFL, O_NONBLOCK) != 0) {
    return Errno(errno, "make a pipe non-blocking");
  }
  return pipe;
}

// A file in memory rather than a pipe: nobody has to stand by to feed it, and
// a program that does not read its input does no harm.
StatusOr<UniqueFd> InputFile(std::string_view input) {
  if (input.empty()) {
    UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!null.valid()) return Errno(errno, "open \"/dev/null\"");
    return null;
  }
  UniqueFd file(memfd_create("input", MFD_CLOEXEC));
  if (!file.valid()) return Errno(errno, "create a file in memory");
  while (!input.empty()) {
    const ssize_t n =
        TEMP_FAILURE_RETRY(write(file.get(), input.data(), input.size()));
    if (n < 0) return Errno(errno, "write a file in memory");
    input.remove_prefix(static_cast<size_t>(n));
  }
  if (lseek(file.get(), 0, SEEK_SET) != 0) {
    return Errno(errno, "rewind a file in memory");
  }
  return file;
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& s : strings) {
    pointers.push_back(const_cast<char*>(s.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

// posix_spawn's two opaque arguments. All calls on them fail only for want of
// memory or for numbers that are no descriptors.
class SpawnPlan {
 public:
  SpawnPlan() {
    posix_spawnattr_init(&attributes_);
    posix_spawn_file_actions_init(&actions_);
    // Ignored signals would stay ignored in the program.
    sigset_t all;
    sigfillset(&all);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF |
                                               POSIX_SPAWN_SETSIGMASK |
                                               POSIX_SPAWN_SETPGROUP);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }

  void Give(int fd, int as) {
    posix_spawn_file_actions_adddup2(&actions_, fd, as);
    given_.insert(as);
  }
  // Whatever libraries of ours forgot to mark close-on-exec. After all Gives.
  void CloseTheRest() {
    int next = STDERR_FILENO + 1;
    for (const int fd : given_) {
      for (; next < fd; ++next) {
        posix_spawn_file_actions_addclose(&actions_, next);
      }
      next = std::max(next, fd + 1);
    }
    posix_spawn_file_actions_addclosefrom_np(&actions_, next);
  }
  void RunIn(const std::string& directory) {
    posix_spawn_file_actions_addchdir_np(&actions_, directory.c_str());
  }

  StatusOr<pid_t> Spawn(const Command& command) const {
    std::vector<std::string> argv = {command.program};
    argv.insert(argv.end(), command.args.begin(), command.args.end());
    pid_t pid = -1;
    const int error =
        posix_spawn(&pid, command.program.c_str(), &actions_, &attributes_,
                    Pointers(argv).data(), Pointers(command.env).data());
    if (error != 0) return Errno(error, "run " + Quoted(command.program));
    return pid;
  }

 private:
  posix_spawnattr_t attributes_;
  posix_spawn_file_actions_t actions_;
  std::set<int> given_;
};

// A started program: killed with its group and reaped, unless Reap was first.
class Child {
 public:
  Child(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    kill(-pid_, SIGKILL);
    int status;
    TEMP_FAILURE_RETRY(waitpid(pid_, &status, 0));
  }

  int pidfd() const { return pidfd_.get(); }

  Status Reap(CommandResult& result) {
    int status = 0;
    const pid_t reaped = TEMP_FAILURE_RETRY(waitpid(pid_, &status, 0));
    const int error = errno;
    pid_ = -1;
    if (reaped < 0) return Errno(error, "wait for a child");
    if (WIFSIGNALED(status)) {
      result.signal = WTERMSIG(status);
      result.exit_code = 128 + result.signal;
    } else {
      result.exit_code = WEXITSTATUS(status);
    }
    return OkStatus();
  }

 private:
  pid_t pid_;
  const UniqueFd pidfd_;
};

// Reads what is there. False at the end of file or on an error.
bool Drain(int fd, size_t limit, std::string& bytes, bool& overflow) {
  char buffer[16384];
  while (true) {
    const ssize_t n = TEMP_FAILURE_RETRY(read(fd, buffer, sizeof(buffer)));
    if (n <= 0) return n < 0 && errno == EAGAIN;
    const size_t room = limit - bytes.size();
    bytes.append(buffer, std::min(room, static_cast<size_t>(n)));
    if (static_cast<size_t>(n) > room) {
      overflow = true;
      return true;
    }
  }
}

int PollTimeout(SteadyTime until) {
  const auto left = until - std::chrono::steady_clock::now();
  if (left <= Duration::zero()) return 0;
  // Rounded up, so that the last wait does not spin.
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(left).count() + 1;
  return static_cast<int>(std::min<int64_t>(ms, 3600 * 1000));
}

class Watch {
 public:
  Watch(const Context& ctx, const Command& command, UniqueFd output,
        UniqueFd errors)
      : ctx_(ctx),
        command_(command),
        output_(std::move(output)),
        errors_(std::move(errors)),
        until_(std::chrono::steady_clock::now() +
               ctx.Remaining(command.time_limit)) {}

  // Until the child has ended and all that it wrote is in `result`.
  Status Run(int pidfd, CommandResult& result) {
    while (true) {
      pollfd polled[] = {{pidfd, POLLIN, 0},
                         {ctx_.cancel_fd(), POLLIN, 0},
                         {output_.get(), POLLIN, 0},
                         {errors_.get(), POLLIN, 0}};
      const int n = poll(polled, std::size(polled), PollTimeout(until_));
      if (n < 0 && errno != EINTR) return Errno(errno, "poll");
      if (n <= 0) {
        RETURN_IF_ERROR(CheckTime());
        continue;
      }
      if (polled[1].revents != 0) return Stopped(StatusCode::kCancelled);
      RETURN_IF_ERROR(Read(result));
      if (polled[0].revents != 0) return Read(result);
      RETURN_IF_ERROR(CheckTime());
    }
  }

 private:
  Status CheckTime() const {
    if (std::chrono::steady_clock::now() < until_) return OkStatus();
    return Stopped(StatusCode::kDeadlineExceeded);
  }

  Status Stopped(StatusCode code) const {
    return Error(
        code,
        code == StatusCode::kCancelled
            ? Quoted(command_.program) + " killed: the caller has gone away"
            : Quoted(command_.program) + " killed: it ran out of time");
  }

  Status Read(CommandResult& result) {
    bool overflow = false;
    if (output_.valid() &&
        !Drain(output_.get(), command_.max_output, result.output, overflow)) {
      output_.reset();
    }
    if (overflow) {
      return ResourceExhausted(Quoted(command_.program) +
                               " killed: it printed more than " +
                               std::to_string(command_.max_output) + " bytes");
    }
    // More of this is dropped. One full buffer a turn, so that an endless
    // stream cannot keep us from looking at the clock.
    if (errors_.valid() &&
        !Drain(errors_.get(), command_.max_errors, result.errors, overflow)) {
      errors_.reset();
    }
    return OkStatus();
  }

  const Context& ctx_;
  const Command& command_;
  UniqueFd output_;
  UniqueFd errors_;
  const SteadyTime until_;
};

// Copies of the descriptors to inherit, out of the way of all the numbers
// that they are to be known by.
StatusOr<std::vector<UniqueFd>> MoveAside(const std::vector<InheritedFd>& fds) {
  int above = 2;
  for (const InheritedFd& fd : fds) above = std::max(above, fd.as);
  std::vector<UniqueFd> copies;
  for (const InheritedFd& fd : fds) {
    UniqueFd copy(fcntl(fd.fd, F_DUPFD_CLOEXEC, above + 1));
    if (!copy.valid()) return Errno(errno, "duplicate a descriptor");
    copies.push_back(std::move(copy));
  }
  return copies;
}

}  // namespace

std::string CommandResult::Describe() const {
  if (signal == 0) return "exited with " + std::to_string(exit_code);
  const char* name = sigdescr_np(signal);
  return "was killed by signal " + std::to_string(signal) + " (" +
         (name != nullptr ? name : "unknown") + ")";
}

StatusOr<CommandResult> RunCommand(const Context& ctx, const Command& command) {
  RETURN_IF_ERROR(ctx.Check());
  ASSIGN_OR_RETURN(Pipe output, MakePipe());
  ASSIGN_OR_RETURN(Pipe errors, MakePipe());
  ASSIGN_OR_RETURN(const UniqueFd input, InputFile(command.input));
  ASSIGN_OR_RETURN(const std::vector<UniqueFd> inherited,
                   MoveAside(command.inherit));

  SpawnPlan plan;
  plan.Give(input.get(), STDIN_FILENO);
  plan.Give(output.theirs.get(), STDOUT_FILENO);
  plan.Give(errors.theirs.get(), STDERR_FILENO);
  for (size_t i = 0; i < inherited.size(); ++i) {
    plan.Give(inherited[i].get(), command.inherit[i].as);
  }
  plan.CloseTheRest();
  if (!command.directory.empty()) plan.RunIn(command.directory);

  ASSIGN_OR_RETURN(const pid_t pid, plan.Spawn(command));
  // Not reaped by anyone but us, so the pid is still this child's.
  UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  const int pidfd_error = errno;
  const int raw_pidfd = pidfd.get();
  Child child(pid, std::move(pidfd));
  if (raw_pidfd < 0) return Errno(pidfd_error, "open a pidfd");
  output.theirs.reset();
  errors.theirs.reset();

  CommandResult result;
  Watch watch(ctx, command, std::move(output.ours), std::move(errors.ours));
  RETURN_IF_ERROR(watch.Run(child.pidfd(), result));
  RETURN_IF_ERROR(child.Reap(result));
  return result;
}

}  // namespace berth
