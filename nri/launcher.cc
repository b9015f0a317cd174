#include "nri/launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/process.h"
#include "base/sys/socket.h"

namespace berth::nri {
namespace {

constexpr size_t kMaxConfigBytes = 1 << 20;
constexpr char kWebAssembly[] = {0, 'a', 's', 'm', 1, 0, 0, 0};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string ConfigOf(const std::string& folder, const InstalledPlugin& plugin) {
  for (const std::string& file :
       {plugin.index + "-" + plugin.name, plugin.name}) {
    const StatusOr<std::string> text =
        ReadFile(folder + "/" + file + ".conf", kMaxConfigBytes);
    if (text.ok()) return *text;
  }
  return "";
}

bool IsWebAssembly(const std::string& path) {
  const StatusOr<UniqueFd> file = OpenFile(path, O_RDONLY);
  char magic[sizeof(kWebAssembly)] = {};
  if (!file.ok()) return false;
  const StatusOr<size_t> size = ReadUpTo(file->get(), magic, sizeof(magic));
  return size.ok() && *size == sizeof(magic) &&
         std::equal(magic, magic + sizeof(magic), kWebAssembly);
}

// What posix_spawn(3) is told, freed at the end.
class SpawnOptions {
 public:
  explicit SpawnOptions(int socket) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions_, socket, 3);
    posix_spawnattr_init(&attributes_);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    // In a process group of its own, a Ctrl-C at berthd's terminal does not
    // reach it.
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK |
                                               POSIX_SPAWN_SETSIGDEF |
                                               POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnOptions() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnOptions(const SpawnOptions&) = delete;
  SpawnOptions& operator=(const SpawnOptions&) = delete;

  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

Status CheckPluginName(const std::string& name) {
  const bool good = std::all_of(name.begin(), name.end(), [](char c) {
    return IsLetter(c) || IsDigit(c) || std::string("-_.+").find(c) < 4;
  });
  if (good && !name.empty() && name.size() <= 256) return OkStatus();
  return InvalidArgument("plugin name " + Quoted(name.substr(0, 256)) +
                         ": not of letters, digits and -_.+");
}

Status CheckPluginIndex(const std::string& index) {
  if (index.size() == 2 && IsDigit(index[0]) && IsDigit(index[1])) {
    return OkStatus();
  }
  return InvalidArgument("plugin index " + Quoted(index.substr(0, 256)) +
                         ": not two digits");
}

StatusOr<std::vector<InstalledPlugin>> FindInstalled(
    const std::string& folder, const std::string& config_folder) {
  std::vector<InstalledPlugin> plugins;
  const StatusOr<UniqueFd> opened = OpenFile(folder, O_RDONLY | O_DIRECTORY);
  if (IsNotFound(opened.status())) return plugins;
  RETURN_IF_ERROR(opened.status());
  ASSIGN_OR_RETURN(const std::vector<std::string> files,
                   ListDirectory(opened->get()));
  for (const std::string& file : files) {
    InstalledPlugin plugin{folder + "/" + file, file.substr(0, 2), "", ""};
    if (file.size() < 4 || file[2] != '-') continue;
    plugin.name = file.substr(3);
    if (!CheckPluginIndex(plugin.index).ok() ||
        !CheckPluginName(plugin.name).ok() ||
        access(plugin.path.c_str(), X_OK) != 0) {
      continue;
    }
    plugin.config = ConfigOf(config_folder, plugin);
    plugins.push_back(std::move(plugin));
  }
  return plugins;
}

StatusOr<LaunchedPlugin> Launch(const InstalledPlugin& plugin) {
  if (IsWebAssembly(plugin.path)) {
    return Unimplemented("plugin " + Quoted(plugin.path) + ": WebAssembly");
  }
  ASSIGN_OR_RETURN(auto sockets, SocketPair());
  RETURN_IF_ERROR(SetNonBlocking(sockets.first.get()));
  // dup2(2) of a descriptor onto itself would leave it close-on-exec.
  const int inherited = fcntl(sockets.second.get(), F_DUPFD_CLOEXEC, 4);
  if (inherited < 0) return Errno(errno, "fcntl F_DUPFD_CLOEXEC");
  const UniqueFd theirs(inherited);
  const SpawnOptions options(theirs.get());
  std::string name = "NRI_PLUGIN_NAME=" + plugin.name;
  std::string index = "NRI_PLUGIN_IDX=" + plugin.index;
  std::string socket = "NRI_PLUGIN_SOCKET=3";
  std::string path = plugin.path;
  char* argv[] = {path.data(), nullptr};
  char* env[] = {name.data(), index.data(), socket.data(), nullptr};
  LaunchedPlugin launched;
  const int error = posix_spawn(&launched.pid, path.c_str(), options.actions(),
                                options.attributes(), argv, env);
  if (error != 0) return Errno(error, "start plugin " + Quoted(plugin.path));
  launched.socket = std::move(sockets.first);
  StatusOr<UniqueFd> pidfd = OpenPidfd(launched.pid);
  if (!pidfd.ok()) {
    kill(launched.pid, SIGKILL);
    waitpid(launched.pid, nullptr, 0);
    return pidfd.status();
  }
  launched.pidfd = *std::move(pidfd);
  return launched;
}

}  // namespace berth::nri
