// berthd: the daemon, and its few commands.
#include <gflags/gflags.h>
#include <glog/logging.h>
#include <malloc.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/strings.h"
#include "base/thread.h"
#include "daemon/admin.h"
#include "daemon/config.h"
#include "daemon/daemon.h"
#include "daemon/inherited_socket.h"
#include "daemon/logging.h"
#include "daemon/notify.h"
#include "daemon/version.h"
#include "daemon/watchdog.h"

DEFINE_string(config, "", "configuration file");
DEFINE_string(root, "", "folder for what outlives a reboot");
DEFINE_string(state, "", "folder for what does not");

namespace berth::daemon {
namespace {

constexpr char kHelp[] =
    R"(berthd - runs pods and containers for Kubernetes (CRI)

usage:
  berthd [--config FILE] [--root DIR] [--state DIR]
      Serve until SIGTERM. Pods go on without the daemon; a later start finds
      them again.
  berthd config default
      Print every setting with its default and manual: a file to start from.
  berthd config check FILE
      Say what is wrong with a configuration; exit status 1 if anything is.
  berthd pods stop [--config FILE] [--root DIR] [--state DIR]
      End every pod and container, for a node that is to be without berth.
      Records, images and containers' files stay. Not while the daemon runs.
  berthd image import [--config FILE] [--state DIR] ARCHIVE
      Have the running daemon load images from an archive (an OCI layout as a
      tar file, or what `docker save` writes).
  berthd image export [--config FILE] [--state DIR] IMAGE... FILE
      Have the running daemon write images to an archive that `image import`,
      `docker load` and `ctr images import` read (an OCI layout as a tar file),
      or to a directory, if FILE is one or ends with a slash. An id stands for
      all tags of its image.
  berthd --version

flags:
  --config FILE  Configuration; the files in FILE.d/*.conf are merged over it.
                 Default: /etc/berth/berth.conf, which may be missing.
  --root DIR     Images, records, container directories (/var/lib/berth).
  --state DIR    Sockets, pinned namespaces, bundles (/run/berth).

files and signals:
  DIR/berthd.sock  the CRI socket, in the state folder unless cri_socket says
                   otherwise: kubelet --container-runtime-endpoint=unix://...
  DIR/admin.sock   health and metrics as HTTP, for root (admin_socket)
  SIGTERM, SIGINT  finish the requests at work and end, in 15 seconds at most;
                   pods stay as they are
  SIGHUP           open the log file anew
  NOTIFY_SOCKET    told READY=1 and STOPPING=1 (systemd, Type=notify)
  WATCHDOG_USEC    told WATCHDOG=1 in time, while the CRI answers (WatchdogSec=)
  LISTEN_FDS       a Unix socket to serve docker on, instead of docker_socket
)";

int Fail(const std::string& message) {
  std::cerr << "berthd: " << message << "\n";
  return 1;
}

int Usage(const std::string& message) {
  std::cerr << "berthd: " << message << "\n"
            << "Try `berthd --help`.\n";
  return 2;
}

// The file that was named, or the usual one if it is there; the flags win.
StatusOr<Config> ReadConfiguration() {
  const std::string file =
      FLAGS_config.empty() ? kDefaultConfigFile : FLAGS_config;
  StatusOr<Config> config = LoadConfig(file);
  if (IsNotFound(config.status()) && FLAGS_config.empty()) config = Config();
  if (!config.ok()) return config.status();
  if (!FLAGS_root.empty()) config->set_root(FLAGS_root);
  if (!FLAGS_state.empty()) config->set_state(FLAGS_state);
  const std::vector<std::string> wrong = CheckConfig(*config);
  if (!wrong.empty()) {
    return InvalidArgument(file + ":\n  " + Join(wrong, "\n  "));
  }
  return config;
}

int CheckCommand(const std::string& file) {
  const StatusOr<Config> config = LoadConfig(file);
  if (!config.ok()) return Fail(Message(config.status()));
  const std::vector<std::string> wrong = CheckConfig(*config);
  for (const std::string& line : wrong) std::cerr << line << "\n";
  if (!wrong.empty()) return 1;
  std::cout << file << ": ok\n";
  return 0;
}

int ImportCommand(const std::string& archive) {
  const StatusOr<Config> config = ReadConfiguration();
  if (!config.ok()) return Fail(Message(config.status()));
  const StatusOr<std::vector<std::string>> names =
      ImportImages(CriSocket(*config), archive);
  if (!names.ok()) return Fail(Message(names.status()));
  for (const std::string& name : *names) std::cout << name << "\n";
  return 0;
}

int StopPodsCommand() {
  const StatusOr<Config> config = ReadConfiguration();
  if (!config.ok()) return Fail(Message(config.status()));
  const Status stopped = Daemon::StopPods(*config);
  return stopped.ok() ? 0 : Fail(Message(stopped));
}

int ExportCommand(std::vector<std::string> images) {
  const std::string file = images.back();
  images.pop_back();
  const StatusOr<Config> config = ReadConfiguration();
  if (!config.ok()) return Fail(Message(config.status()));
  const Status exported = ExportImages(CriSocket(*config), images, file);
  return exported.ok() ? 0 : Fail(Message(exported));
}

// A daemon that is mostly idle: what a burst needed goes back to the kernel
// after it. Fixed thresholds turn off glibc's habit of raising them to the
// largest block that was ever freed.
void KeepMemoryLow() {
  mallopt(M_MMAP_THRESHOLD, 128 << 10);
  mallopt(M_TRIM_THRESHOLD, 128 << 10);
  mallopt(M_ARENA_MAX, 2);
}

sigset_t OurSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  return set;
}

// How long an orderly end may take before the process just goes: a worker may
// hang in the kernel.
constexpr unsigned kStopSeconds = 15;

// The request to end, which may come at any time, also while the daemon starts.
class EndRequest {
 public:
  // From now on the process ends in time, whatever hangs.
  void Make() {
    signal(SIGALRM, [](int) { _exit(0); });
    alarm(kStopSeconds);
    MutexLock lock(mutex_);
    made_ = true;
    changed_.SignalAll();
  }
  void Await() {
    MutexLock lock(mutex_);
    while (!made_) changed_.Wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool made_ GUARDED_BY(mutex_) = false;
};

void FollowSignals(const Config& config, EndRequest& end) {
  const sigset_t set = OurSignals();
  for (int signal = 0; signal != SIGTERM && signal != SIGINT;) {
    if (sigwait(&set, &signal) != 0 || signal != SIGHUP) continue;
    const Status log = OpenLog(config.log());
    LOG_IF(ERROR, !log.ok()) << Message(log);
  }
  end.Make();
}

// Null if nobody waits.
StatusOr<std::unique_ptr<Watchdog>> StartWatchdog(
    const std::optional<Duration>& time, const std::string& socket) {
  if (!time.has_value()) return std::unique_ptr<Watchdog>();
  return Watchdog::Start(
      *time, [socket](Duration limit) { return AskVersion(socket, limit); });
}

int Serve() {
  const StatusOr<Config> config = ReadConfiguration();
  if (!config.ok()) return Fail(Message(config.status()));
  // Before there are threads: what belongs to the whole process.
  StatusOr<std::optional<InheritedSocket>> docker = TakeInheritedSocket();
  if (!docker.ok()) return Fail(Message(docker.status()));
  const std::optional<Duration> watchdog_time = TakeWatchdogTime();
  const sigset_t set = OurSignals();
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  umask(022);
  KeepMemoryLow();
  const Status log = OpenLog(config->log());
  if (!log.ok()) return Fail(Message(log));

  // Both live as long as the process: the thread waits for ever if the start
  // fails.
  static EndRequest& end = *new EndRequest;
  StatusOr<Thread> signals = StartThread(
      "signals", [config = *config] { FollowSignals(config, end); });
  if (!signals.ok()) return Fail(Message(signals.status()));
  signals->Detach();

  StatusOr<std::unique_ptr<Daemon>> daemon =
      Daemon::Start(*config, *std::move(docker));
  if (!daemon.ok()) return Fail(Message(daemon.status()));
  NotifyManager("READY=1");
  const StatusOr<std::unique_ptr<Watchdog>> watchdog =
      StartWatchdog(watchdog_time, CriSocket(*config));
  if (!watchdog.ok()) return Fail(Message(watchdog.status()));
  end.Await();
  NotifyManager("STOPPING=1");
  (*daemon)->Stop();
  return 0;
}

int Run(const std::vector<std::string>& words) {
  if (words.empty()) return Serve();
  const std::string verb = words[0] + (words.size() > 1 ? " " + words[1] : "");
  if (verb == "config default" && words.size() == 2) {
    std::cout << DefaultConfigText();
    return 0;
  }
  if (verb == "config check") {
    return words.size() == 3 ? CheckCommand(words[2])
                             : Usage("config check: name one file");
  }
  if (verb == "pods stop" && words.size() == 2) return StopPodsCommand();
  if (verb == "image import") {
    return words.size() == 3 ? ImportCommand(words[2])
                             : Usage("image import: name one archive");
  }
  if (verb == "image export") {
    return words.size() >= 4 ? ExportCommand({words.begin() + 2, words.end()})
                             : Usage("image export: name images and one file");
  }
  return Usage("there is no command " + Quoted(Join(words, " ")));
}

}  // namespace
}  // namespace berth::daemon

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--help" || word == "-h" || word == "help") {
      std::cout << berth::daemon::kHelp;
      return 0;
    }
    if (word == "--version") {
      std::cout << "berthd " << berth::daemon::kVersion << "\n";
      return 0;
    }
  }
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  berth::daemon::SetUpLog(argv[0]);
  return berth::daemon::Run({argv + 1, argv + argc});
}
