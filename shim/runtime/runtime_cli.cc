#include "shim/runtime/runtime_cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <utility>

#include "base/json.h"
#include "base/strings.h"
#include "base/sys/process.h"
#include "base/sys/socket.h"

namespace berth::shim {
namespace {

StatusOr<std::string> ReadSmallFile(const std::string& path) {
  UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return Errno(errno, "open " + path);
  std::string text(64 * 1024, '\0');
  const ssize_t n = read(file.get(), text.data(), text.size());
  if (n < 0) return Errno(errno, "read " + path);
  text.resize(static_cast<size_t>(n));
  return text;
}

Status WriteSmallFile(const std::string& path, const std::string& text) {
  UniqueFd file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.valid()) return Errno(errno, "create " + path);
  const ssize_t n = write(file.get(), text.data(), text.size());
  if (n < 0) return Errno(errno, "write " + path);
  if (static_cast<size_t>(n) != text.size()) {
    return ResourceExhausted("write " + path + ": it was cut short");
  }
  return OkStatus();
}

// The last error of a log with one JSON object per line.
std::string LastError(const std::string& log) {
  std::string last;
  const StatusOr<std::string> text = ReadSmallFile(log);
  if (!text.ok()) return last;
  for (const std::string& line : Split(*text, '\n')) {
    const StatusOr<Json> entry = ParseJson(line, "log");
    if (!entry.ok() || !entry->is_object()) continue;
    std::string level, message;
    JsonReader reader(*entry, "log");
    reader.Get("level", level);
    reader.Get("msg", message);
    if (level == "error" || level == "fatal") last = message;
  }
  return last;
}

bool Contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

// runc's errors have no codes; these texts have not changed in ten years.
StatusCode CodeOf(const std::string& message) {
  if (Contains(message, "does not exist") ||
      Contains(message, "process already finished") ||
      Contains(message, "no such process") ||
      Contains(message, "executable file not found")) {
    return StatusCode::kNotFound;
  }
  if (Contains(message, "already exists")) return StatusCode::kAlreadyExists;
  if (Contains(message, "not running") || Contains(message, "cannot start") ||
      Contains(message, "stopped state") || Contains(message, "paused")) {
    return StatusCode::kFailedPrecondition;
  }
  if (Contains(message, "permission denied")) {
    return StatusCode::kPermissionDenied;
  }
  return StatusCode::kInternal;
}

// In the forked child: becomes the program. Nothing else of the shim's may
// leak into it: descriptors are closed, signals are put back.
[[noreturn]] void Become(const std::vector<std::string>& args,
                         const ProcessFds* fds, const std::string& directory) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  if (chdir(directory.c_str()) != 0) _exit(127);
  if (fds != nullptr && !fds->terminal) {
    if (dup2(fds->in.get(), 0) < 0 || dup2(fds->out.get(), 1) < 0 ||
        dup2(fds->err.get(), 2) < 0) {
      _exit(127);
    }
  }
  if (!CloseAllBut(3, {}).ok()) _exit(127);
  std::vector<char*> argv;
  for (const std::string& arg : args) {
    argv.push_back(const_cast<char*>(arg.c_str()));
  }
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  _exit(127);
}

// Where a verb is run that needs no bundle: our own folder may be gone.
constexpr char kAnywhere[] = "/";

// The pty's master, which the program has sent before it ended.
StatusOr<UniqueFd> TakeConsole(int listener) {
  ASSIGN_OR_RETURN_AS(const UniqueFd connection, AcceptUnix(listener),
                      "the runtime sent no terminal");
  return ReceiveFd(connection.get(), nullptr);
}

}  // namespace

RuntimeCli::RuntimeCli(EventLoop& loop, Reaper& reaper, RuntimeOptions options,
                       std::string scratch)
    : loop_(loop),
      reaper_(reaper),
      options_(std::move(options)),
      scratch_(std::move(scratch)) {}

RuntimeCli::Files RuntimeCli::NewRun() {
  static int last = 0;  // of all runtimes
  mkdir(scratch_.c_str(), 0700);
  const std::string base = scratch_ + "/run" + std::to_string(++last);
  Files run;
  run.log = base + ".log";
  run.pid_file = base + ".pid";
  run.console = base + ".tty";
  run.input = base + ".json";
  return run;
}

Status RuntimeCli::Prepare(Files& run, bool terminal,
                           const std::string& input) {
  Clean(run);
  if (!input.empty()) RETURN_IF_ERROR(WriteSmallFile(run.input, input));
  if (terminal) {
    ASSIGN_OR_RETURN(run.listener, ListenUnix(run.console, 0600));
    return SetNonBlocking(run.listener.get());
  }
  return OkStatus();
}

void RuntimeCli::Clean(const Files& run) {
  for (const std::string* path :
       {&run.log, &run.pid_file, &run.console, &run.input}) {
    unlink(path->c_str());
  }
}

pid_t RuntimeCli::Launch(const Files& run, std::vector<std::string> args,
                         const ProcessFds* fds, const std::string& directory,
                         Done done) {
  std::vector<std::string> all = {options_.program};
  if (!options_.root.empty()) {
    all.insert(all.end(), {"--root", options_.root});
  }
  all.insert(all.end(), {"--log", run.log, "--log-format", "json"});
  if (options_.systemd_cgroup) all.push_back("--systemd-cgroup");
  const std::string verb = args[0];
  all.insert(all.end(), args.begin(), args.end());

  const pid_t pid = fork();
  if (pid == 0) Become(all, fds, directory);
  if (pid < 0) {
    const Status failed = Errno(errno, "fork for " + options_.program);
    loop_.Defer([done = std::move(done), failed] { done(failed); });
    return 0;
  }
  reaper_.Watch(pid, [program = options_.program, verb, log = run.log,
                      done = std::move(done)](const Reaper::Exit& exit) {
    const int code = ExitCodeOf(exit.wait_status);
    if (code == 0) return done(OkStatus());
    std::string message = LastError(log);
    if (message.empty()) {
      message = code == 127 ? "cannot be executed"
                            : "exit status " + std::to_string(code);
      message = program + " " + verb + ": " + message;
    }
    done(Error(CodeOf(message), message));
  });
  return pid;
}

pid_t RuntimeCli::LaunchProcess(Files run, std::vector<std::string> args,
                                ProcessFds fds, const std::string& directory,
                                Started done) {
  args.insert(args.begin() + 1, {"--pid-file", run.pid_file});
  if (fds.terminal) {
    args.insert(args.begin() + 1, {"--console-socket", run.console});
  }
  auto shared_run = std::make_shared<Files>(std::move(run));
  reaper_.Expect();
  return Launch(
      *shared_run, args, &fds, directory,
      [this, run = shared_run, terminal = fds.terminal,
       done = std::move(done)](const Status& ran) {
        const auto read_result = [&]() -> StatusOr<StartedProcess> {
          RETURN_IF_ERROR(ran);
          StartedProcess started;
          ASSIGN_OR_RETURN(const std::string text,
                           ReadSmallFile(run->pid_file));
          const std::optional<int64_t> pid = ParseInt(Trim(text));
          if (!pid || *pid <= 0) {
            return Internal("pid file of the runtime: " + Quoted(text));
          }
          started.pid = static_cast<pid_t>(*pid);
          if (terminal) {
            ASSIGN_OR_RETURN(started.console, TakeConsole(run->listener.get()));
          }
          return started;
        };
        StatusOr<StartedProcess> result = read_result();
        Clean(*run);
        done(std::move(result));
        reaper_.Settle();
      });
}

void RuntimeCli::Create(const std::string& id, const std::string& bundle,
                        ProcessFds fds, Started done) {
  Files run = NewRun();
  const Status prepared = Prepare(run, fds.terminal, "");
  if (!prepared.ok()) return done(prepared);
  std::vector<std::string> args = {"create", "--bundle", bundle};
  if (options_.no_pivot_root) args.push_back("--no-pivot");
  if (options_.no_new_keyring) args.push_back("--no-new-keyring");
  args.push_back(id);
  creating_[id] = LaunchProcess(
      std::move(run), std::move(args), std::move(fds), bundle,
      [this, id, done = std::move(done)](StatusOr<StartedProcess> started) {
        creating_.erase(id);
        done(std::move(started));
      });
}

void RuntimeCli::Run(const std::string& id, const std::string& bundle,
                     ProcessFds fds, Started created, Done started) {
  Create(id, bundle, std::move(fds),
         [this, id, created = std::move(created),
          started = std::move(started)](StatusOr<StartedProcess> process) {
           const bool made = process.ok();
           created(std::move(process));
           if (made) Start(id, started);
         });
}

void RuntimeCli::Abort(const std::string& id) {
  // Its end is told as soon as it is reaped: the pid is its own.
  const auto program = creating_.find(id);
  if (program == creating_.end() || program->second <= 0) return;
  kill(program->second, SIGKILL);
}

void RuntimeCli::Exec(const std::string& id, const std::string& process,
                      ProcessFds fds, Started done) {
  Files run = NewRun();
  const Status prepared = Prepare(run, fds.terminal, process);
  if (!prepared.ok()) return done(prepared);
  std::vector<std::string> args = {"exec", "--detach", "--process", run.input,
                                   id};
  LaunchProcess(std::move(run), std::move(args), std::move(fds), kAnywhere,
                std::move(done));
}

void RuntimeCli::Simple(std::vector<std::string> args, Done done) {
  const Files run = NewRun();
  Clean(run);
  Launch(run, std::move(args), nullptr, kAnywhere,
         [log = run.log, done = std::move(done)](const Status& status) {
           unlink(log.c_str());
           done(status);
         });
}

void RuntimeCli::Start(const std::string& id, Done done) {
  Simple({"start", id}, std::move(done));
}

void RuntimeCli::Kill(const std::string& id, int signal, bool all, Done done) {
  std::vector<std::string> args = {"kill"};
  if (all) args.push_back("--all");
  args.insert(args.end(), {id, std::to_string(signal)});
  Simple(std::move(args), std::move(done));
}

void RuntimeCli::Freeze(const std::string& id, bool frozen, Done done) {
  Simple({frozen ? "pause" : "resume", id}, std::move(done));
}

void RuntimeCli::Update(const std::string& id, const std::string& resources,
                        Done done) {
  Files run = NewRun();
  const Status prepared = Prepare(run, false, resources);
  if (!prepared.ok()) return done(prepared);
  Launch(run, {"update", "--resources", run.input, id}, nullptr, kAnywhere,
         [log = run.log, input = run.input,
          done = std::move(done)](const Status& status) {
           unlink(log.c_str());
           unlink(input.c_str());
           done(status);
         });
}

void RuntimeCli::Delete(const std::string& id, Done done) {
  Simple({"delete", "--force", id}, std::move(done));
}

}  // namespace berth::shim
