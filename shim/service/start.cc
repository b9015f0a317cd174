#include "shim/service/start.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/failpoint.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/sys/socket.h"
#include "oci/cgroup/cgroup.h"
#include "shim/service/supervisor.h"
#include "shim/wire/bootstrap.h"

namespace berth::shim {
namespace {

constexpr char kDefaultSocketDir[] = "/run/containerd/s";
constexpr size_t kMaxConfig = 16u << 20;

std::string Environment(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

StatusOr<std::string> WorkingDirectory() {
  char path[PATH_MAX];
  if (getcwd(path, sizeof(path)) == nullptr) return Errno(errno, "getcwd");
  return std::string(path);
}

std::string ReadWhole(const std::string& path, size_t limit) {
  std::string text;
  UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char bytes[16 * 1024];
  ssize_t n = 0;
  while (file.valid() && text.size() < limit &&
         (n = read(file.get(), bytes, sizeof(bytes))) > 0) {
    text.append(bytes, static_cast<size_t>(n));
  }
  return text;
}

// Containers of one pod share a shim: what the pod is called says config.json,
// if there is one.
std::string GroupOf(const std::string& id) {
  const std::string text = ReadWhole("config.json", kMaxConfig);
  if (text.empty()) return id;
  const StatusOr<Json> config = ParseJson(text, "config.json");
  if (!config.ok() || !config->is_object()) return id;
  std::map<std::string, std::string> annotations;
  JsonReader(*config, "config.json").Get("annotations", annotations);
  for (const char* key :
       {"io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"}) {
    const auto found = annotations.find(key);
    if (found != annotations.end() && !found->second.empty()) {
      return found->second;
    }
  }
  return id;
}

StatusOr<std::string> ChooseSocket(const ShimFlags& flags,
                                   const StartInput& input) {
  const std::string given = Environment(kSocketVariable);
  if (!given.empty()) return given;
  const std::string dir =
      input.socket_dir.empty() ? kDefaultSocketDir : input.socket_dir;
  for (size_t slash = dir.find('/', 1); slash != std::string::npos;
       slash = dir.find('/', slash + 1)) {
    mkdir(dir.substr(0, slash).c_str(), 0711);
  }
  if (mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST) {
    return Errno(errno, "mkdir " + dir);
  }
  return dir + "/" +
         SocketName(flags.address, flags.name_space, GroupOf(flags.id));
}

// A listening socket; none if another shim listens there.
StatusOr<std::optional<UniqueFd>> Listen(const std::string& path) {
  for (int attempt = 0; attempt < 3; ++attempt) {
    StatusOr<UniqueFd> listener = ListenUnix(path, 0600);
    if (listener.ok()) {
      return std::optional<UniqueFd>(*std::move(listener));
    }
    if (listener.status().code() != StatusCode::kAlreadyExists) {
      return listener.status();
    }
    if (ConnectUnix(path).ok()) return std::optional<UniqueFd>();
    unlink(path.c_str());  // a dead shim's
  }
  return Unavailable("socket " + path + " is taken again and again");
}

// The kernel should rather kill a shim than its manager: one more than the
// manager's score. Best effort: containers keep what their config says.
void RaiseOomScore(pid_t manager) {
  const std::string text =
      ReadWhole("/proc/" + std::to_string(manager) + "/oom_score_adj", 64);
  const std::optional<int64_t> score = ParseInt(Trim(text));
  if (!score) return;
  const std::string raised =
      std::to_string(std::min<int64_t>(*score + 1, 1000));
  UniqueFd file(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (write(file.get(), raised.data(), raised.size()) < 0) return;
}

Status DetachStreams() {
  UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) return Errno(errno, "open /dev/null");
  struct stat status {};
  const bool fifo = lstat("log", &status) == 0 && S_ISFIFO(status.st_mode);
  UniqueFd log(
      fifo ? open("log", O_WRONLY | O_NONBLOCK | O_CLOEXEC)
           : open("shim.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (dup2(null.get(), 0) < 0 || dup2(null.get(), 1) < 0 ||
      dup2(log.valid() ? log.get() : null.get(), 2) < 0) {
    return Errno(errno, "dup2");
  }
  return OkStatus();
}

Status EnterCgroup(const std::string& path) {
  if (path.empty()) return OkStatus();
  ASSIGN_OR_RETURN(const oci::CgroupHost host, oci::CgroupHost::Detect());
  ASSIGN_OR_RETURN(const std::string place, oci::CgroupPath(path, ""));
  ASSIGN_OR_RETURN(const auto cgroup, oci::IsScopePath(path)
                                          ? oci::OpenScope(host, place)
                                          : oci::OpenCgroup(host, place));
  RETURN_IF_ERROR(cgroup->Create(oci::Resources()));
  RETURN_IF_ERROR(cgroup->EnterSelf());
  cgroup->Settle();
  return OkStatus();
}

[[noreturn]] void BeDaemon(const SupervisorConfig& config, UniqueFd listener,
                           pid_t manager) {
  setsid();
  prctl(PR_SET_NAME, "berth-shim");
  // A heap of a few dozen KiB: it should grow and shrink in small steps.
  mallopt(M_TOP_PAD, 4096);
  mallopt(M_TRIM_THRESHOLD, 16 * 1024);
  mallopt(M_MMAP_THRESHOLD, 64 * 1024);
  RaiseOomScore(manager);
  Status status = DetachStreams();
  if (status.ok()) {
    const Status entered = EnterCgroup(config.options.shim_cgroup());
    if (!entered.ok()) {
      fprintf(stderr, "enter cgroup: %s\n", Message(entered).c_str());
    }
    malloc_trim(0);
    status = RunSupervisor(config, std::move(listener));
  }
  if (!status.ok()) {
    fprintf(stderr, "berth-shim: %s\n", Message(status).c_str());
  }
  _exit(status.ok() ? 0 : 1);
}

StartFormat FormatFor(const StartInput& input) {
  if (input.bootstrap) return StartFormat::kBootstrap;
  // containerd 1.7 and later set both, and read JSON; 1.6 sets one.
  return Environment("TTRPC_ADDRESS").empty() ||
                 Environment("GRPC_ADDRESS").empty()
             ? StartFormat::kPlain
             : StartFormat::kJson;
}

// containerd before 2.0 looks here after its own restart.
Status WriteAddressFile(const std::string& path) {
  const std::string uri = "unix://" + path;
  UniqueFd file(
      open("address", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.valid() || write(file.get(), uri.data(), uri.size()) !=
                           static_cast<ssize_t>(uri.size())) {
    return Errno(errno, "write the file \"address\"");
  }
  return OkStatus();
}

Status LeaveDaemon(const ShimFlags& flags, const StartInput& input,
                   const std::string& path, UniqueFd listener) {
  SupervisorConfig config;
  config.name_space = flags.name_space;
  ASSIGN_OR_RETURN(config.state_dir, WorkingDirectory());
  config.event_address = input.event_address.empty()
                             ? Environment("TTRPC_ADDRESS")
                             : input.event_address;
  config.socket_path = path;
  config.records_in_bundles = Environment(kSocketVariable).empty();
  // A bundle goes with its container, and we may outlive the first.
  config.scratch_dir =
      config.records_in_bundles ? ScratchOf(path) : config.state_dir;
  config.options = input.options;
  const pid_t manager = getppid();
  // First: an empty shim of which nobody knows would live for ever.
  const Status written = WriteAddressFile(path);
  const pid_t pid = written.ok() ? fork() : -1;
  if (pid < 0) {
    const Status failed = written.ok() ? Errno(errno, "fork") : written;
    unlink(path.c_str());
    return failed;
  }
  if (pid == 0) BeDaemon(config, std::move(listener), manager);
  return Failpoint("shim.launch.forked");
}

}  // namespace

std::string ScratchOf(const std::string& socket) { return socket + ".run"; }

StatusOr<std::string> StartShim(const ShimFlags& flags,
                                const std::string& input_bytes) {
  ASSIGN_OR_RETURN(const StartInput input,
                   ParseStartInput(input_bytes, flags.id, flags.name_space));
  ASSIGN_OR_RETURN(const std::string path, ChooseSocket(flags, input));
  ASSIGN_OR_RETURN(std::optional<UniqueFd> listener, Listen(path));
  RETURN_IF_ERROR(Failpoint("shim.launch.listening"));
  if (listener) {
    RETURN_IF_ERROR(LeaveDaemon(flags, input, path, *std::move(listener)));
  } else {
    RETURN_IF_ERROR(WriteAddressFile(path));
  }
  const StartFormat format = FormatFor(input);
  ShimAddress address;
  address.path = path;
  address.version = format == StartFormat::kBootstrap ? 3 : 2;
  return FormatStartOutput(address, format);
}

}  // namespace berth::shim
