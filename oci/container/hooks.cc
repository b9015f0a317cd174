#include "oci/container/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

#include "base/clock.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/process.h"
#include "base/unique_fd.h"

namespace berth::oci {
namespace {

constexpr uint64_t kMaxComplaint = 4096;

StatusOr<UniqueFd> MemoryFile(const char* name) {
  UniqueFd fd(memfd_create(name, MFD_CLOEXEC));
  if (!fd.valid()) return Errno(errno, "memfd_create");
  return fd;
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& s : strings) {
    pointers.push_back(const_cast<char*>(s.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

Status AddTo(const std::string& path, int stream) {
  if (path.empty()) return OkStatus();
  ASSIGN_OR_RETURN(
      const UniqueFd file,
      OpenFile(path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY, 0700));
  if (dup2(file.get(), stream) < 0) return Errno(errno, "dup2");
  return OkStatus();
}

// Returns only to say why it does not run.
Status BecomeHook(const Hook& hook, const HookSetting& setting, int input,
                  int complaints) {
  for (const int signal : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD}) {
    ::signal(signal, SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  std::vector<std::string> args = hook.args;
  if (args.empty()) args.push_back(hook.path);
  const std::vector<char*> argv = Pointers(args);
  const std::vector<char*> env =
      Pointers(hook.env.empty() && setting.env ? *setting.env : hook.env);
  const bool inherits = hook.env.empty() && setting.env == nullptr;
  if (!setting.directory.empty() && chdir(setting.directory.c_str()) != 0) {
    return Errno(errno, "chdir " + Quoted(setting.directory));
  }
  if (dup2(input, 0) < 0 || dup2(complaints, 2) < 0) {
    return Errno(errno, "dup2");
  }
  RETURN_IF_ERROR(AddTo(setting.output, 1));
  RETURN_IF_ERROR(AddTo(setting.errors, 2));
  RETURN_IF_ERROR(CloseOnExecFrom(3));
  if (setting.confine) RETURN_IF_ERROR(setting.confine());
  execve(hook.path.c_str(), argv.data(), inherits ? environ : env.data());
  const int error = errno;
  return Error(Errno(error, "").code(), strerrordesc_np(error));
}

// The state of the child when it ended; DEADLINE_EXCEEDED if it had to be
// killed.
StatusOr<int> WaitFor(const ClonedProcess& child, const Hook& hook) {
  const SteadyTime until = std::chrono::steady_clock::now() +
                           std::chrono::seconds(hook.timeout.value_or(0));
  bool late = false;
  while (hook.timeout && !late) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    struct pollfd ended = {child.pidfd.get(), POLLIN, 0};
    const int wait = left.count() > 0 ? static_cast<int>(left.count()) : 0;
    const int ready = poll(&ended, 1, wait);
    if (ready > 0) break;
    late = ready == 0 && left.count() <= 0;
  }
  if (late) kill(child.pid, SIGKILL);
  int status = 0;
  if (TEMP_FAILURE_RETRY(waitpid(child.pid, &status, 0)) < 0) {
    return Errno(errno, "wait for the hook");
  }
  if (late) {
    return DeadlineExceeded("timed out after " + std::to_string(*hook.timeout) +
                            " s");
  }
  return status;
}

// A file, not a pipe: one that the hook never reads cannot block us, nor one
// that its own children keep open.
Status RunHook(const Hook& hook, const std::string& state,
               const HookSetting& setting) {
  ASSIGN_OR_RETURN(const UniqueFd input, MemoryFile("state"));
  RETURN_IF_ERROR(WriteAll(input.get(), state));
  if (lseek(input.get(), 0, SEEK_SET) != 0) return Errno(errno, "lseek");
  ASSIGN_OR_RETURN(const UniqueFd complaints, MemoryFile("complaints"));
  ASSIGN_OR_RETURN(const ClonedProcess child, CloneProcess({}));
  if (child.pid == 0) {
    const std::string reason =
        Message(BecomeHook(hook, setting, input.get(), complaints.get()));
    (void)!write(complaints.get(), reason.data(), reason.size());
    _exit(127);
  }
  ASSIGN_OR_RETURN(const int status, WaitFor(child, hook));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return OkStatus();
  char said[kMaxComplaint];
  const ssize_t n = pread(complaints.get(), said, sizeof(said), 0);
  std::string message =
      WIFSIGNALED(status)
          ? "killed by signal " + std::to_string(WTERMSIG(status))
          : "exit status " + std::to_string(WEXITSTATUS(status));
  if (n > 0) {
    message += ", stderr: ";
    message += Trim(std::string_view(said, static_cast<size_t>(n)));
  }
  return Internal(message);
}

}  // namespace

HookSetting RuntimeHookSetting(const Hooks& hooks, const std::string& bundle) {
  return {.directory = bundle, .output = hooks.output, .errors = hooks.errors};
}

Status RunHooks(const char* name, const std::vector<Hook>& hooks,
                const std::string& state, const HookSetting& setting) {
  for (size_t i = 0; i < hooks.size(); ++i) {
    RETURN_IF_ERROR_AS(RunHook(hooks[i], state, setting),
                       "error running " + std::string(name) + " hook #" +
                           std::to_string(i) + " " + Quoted(hooks[i].path));
  }
  return OkStatus();
}

}  // namespace berth::oci
