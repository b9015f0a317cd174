#include "shim/client/shim_launcher.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/failpoint.h"
#include "base/fs/atomic_file.h"
#include "base/io/subprocess.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/mount.h"
#include "base/sys/process.h"
#include "shim/client/foreign_bundles.h"
#include "shim/client/shim_client.h"
#include "shim/wire/bootstrap.h"

namespace berth::shim {
namespace {

constexpr Duration kStartTime = std::chrono::seconds(20);
constexpr Duration kConnectTime = std::chrono::seconds(10);
constexpr Duration kKillTime = std::chrono::seconds(5);
constexpr Duration kCleanUpTime = std::chrono::seconds(60);
constexpr uint64_t kMaxStateFile = 64 << 10;

// What is kept in the state directory to find the shim again.
struct Bootstrap {
  ShimAddress address;
  pid_t pid = 0;
  uint64_t start_time = 0;  // of the process: pids are used again
};

std::string BootstrapPath(const SandboxShim& sandbox) {
  return sandbox.state_dir + "/bootstrap.json";
}

std::string SocketPath(const SandboxShim& sandbox) {
  return sandbox.state_dir + "/shim.sock";
}

// NOT_FOUND if there is none.
StatusOr<Bootstrap> ReadBootstrap(const SandboxShim& sandbox) {
  const std::string path = BootstrapPath(sandbox);
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxStateFile));
  ASSIGN_OR_RETURN(const Json json, ParseJson(text, path));
  Bootstrap bootstrap;
  JsonReader reader(json, path);
  int32_t version = 3, pid = 0;
  reader.Get("address", bootstrap.address.path);
  reader.Get("version", version);
  reader.Get("pid", pid);
  reader.Get("start_time", bootstrap.start_time);
  RETURN_IF_ERROR(reader.status());
  bootstrap.address.version = version;
  bootstrap.pid = pid;
  return bootstrap;
}

Status WriteBootstrap(const SandboxShim& sandbox, const Bootstrap& bootstrap) {
  return ReplaceFile(BootstrapPath(sandbox),
                     DumpJson({{"address", bootstrap.address.path},
                               {"version", bootstrap.address.version},
                               {"pid", bootstrap.pid},
                               {"start_time", bootstrap.start_time}}) +
                         "\n",
                     0600);
}

// A path as it is; "io.containerd.NAME.VERSION" is containerd-shim-NAME-VERSION
// on PATH.
StatusOr<std::string> FindBinary(const std::string& binary) {
  if (StartsWith(binary, "/")) return binary;
  const std::vector<std::string> parts = Split(binary, '.');
  if (parts.size() < 2 || binary.find('/') != std::string::npos) {
    return InvalidArgument("not a shim: " + Quoted(binary));
  }
  const std::string name = "containerd-shim-" + parts[parts.size() - 2] + "-" +
                           parts[parts.size() - 1];
  const char* path = getenv("PATH");
  for (const std::string& folder : Split(path == nullptr ? "" : path, ':')) {
    const std::string file = folder + "/" + name;
    if (StartsWith(file, "/") && access(file.c_str(), X_OK) == 0) return file;
  }
  return NotFound("shim " + Quoted(binary) + ": no " + name + " on PATH");
}

std::vector<std::string> ShimEnvironment(const SandboxShim& sandbox) {
  const char* path = getenv("PATH");
  std::vector<std::string> environment = {
      "PATH=" +
          std::string(path == nullptr ? "/usr/sbin:/usr/bin:/sbin:/bin" : path),
      "NAMESPACE=" + sandbox.name_space, "MAX_SHIM_VERSION=2",
      "BERTH_SHIM_SOCKET=" + SocketPath(sandbox)};
  for (const char* name : {kFailpointsVariable, kFailpointsActedVariable}) {
    const char* value = getenv(name);
    if (value != nullptr)
      environment.push_back(std::string(name) + "=" + value);
  }
  return environment;
}

bool IsForeign(const SandboxShim& sandbox) {
  return sandbox.binary.find("berth-shim") == std::string::npos;
}

// Shims made for containerd expect to start in a container's bundle: they look
// for annotations in its config.json, and for something to log to.
Status PrepareForForeign(const SandboxShim& sandbox) {
  Json config = {{"ociVersion", "1.0.2"}, {"annotations", Json::object()}};
  for (const auto& [name, value] : sandbox.annotations) {
    config["annotations"][name] = value;
  }
  RETURN_IF_ERROR(ReplaceFile(sandbox.state_dir + "/config.json",
                              DumpJson(config) + "\n", 0600));
  return OpenFile(sandbox.state_dir + "/log", O_WRONLY | O_CREAT, 0600)
      .status();
}

// In the directory `bundle`, about the container or sandbox `id`.
StatusOr<std::string> RunShim(const Context& ctx, const SandboxShim& sandbox,
                              const std::string& id, const std::string& bundle,
                              const std::string& action, Duration time_limit) {
  Command command;
  ASSIGN_OR_RETURN(command.program, FindBinary(sandbox.binary));
  // An address of a manager that takes no calls: containers of two berthds
  // must not meet in one shim, and this tells them apart.
  command.args = {
      "-namespace",      sandbox.name_space, "-address", sandbox.state_dir,
      "-publish-binary", "/bin/false",       "-id",      id};
  if (action == "delete") {
    command.args.insert(command.args.end(), {"-bundle", bundle});
  }
  command.args.push_back(action);
  command.env = ShimEnvironment(sandbox);
  command.directory = bundle;
  command.input = IsForeign(sandbox)
                      ? FormatOptions(OptionsOf(sandbox))
                      : FormatStartInput(sandbox.id, sandbox.name_space,
                                         OptionsOf(sandbox));
  command.max_output = kMaxStateFile;
  command.time_limit = time_limit;
  const std::string what = "shim " + command.program + " " + action;
  ASSIGN_OR_RETURN_AS(CommandResult result, RunCommand(ctx, command), what);
  if (!result.ok()) {
    return Internal(what + " " + result.Describe() + ": " +
                    std::string(Trim(result.errors)));
  }
  return std::move(result.output);
}

// Kills the process if it still is the one that was noted.
Status KillShim(const Bootstrap& bootstrap) {
  const StatusOr<UniqueFd> process = OpenPidfd(bootstrap.pid);
  if (!process.ok()) return IgnoreNotFound(process.status());
  const StatusOr<ProcessStat> stat = ReadProcessStat(bootstrap.pid);
  if (!stat.ok() || stat->start_time != bootstrap.start_time) return OkStatus();
  RETURN_IF_ERROR(IgnoreNotFound(SignalProcess(process->get(), SIGKILL)));
  pollfd exited{process->get(), POLLIN, 0};
  const auto limit =
      std::chrono::duration_cast<std::chrono::milliseconds>(kKillTime);
  if (poll(&exited, 1, static_cast<int>(limit.count())) > 0) return OkStatus();
  return DeadlineExceeded("kill shim " + std::to_string(bootstrap.pid));
}

class Launcher : public ShimLauncher {
 public:
  StatusOr<std::unique_ptr<Shim>> Launch(const Context& ctx,
                                         const SandboxShim& sandbox) override {
    StatusOr<std::unique_ptr<Shim>> shim = Start(ctx, sandbox);
    if (!shim.ok()) {
      const Context end =
          Context::Background(ctx.request_id()).WithTimeout(kCleanUpTime);
      // The first error is the one to tell.
      Destroy(end, sandbox).IgnoreError();
    }
    return shim;
  }

  StatusOr<std::unique_ptr<Shim>> Reconnect(
      const Context& ctx, const SandboxShim& sandbox) override {
    const StatusOr<Bootstrap> bootstrap = ReadBootstrap(sandbox);
    if (!bootstrap.ok()) {
      return Unavailable("reconnect to the shim of " + sandbox.id + ": " +
                         Message(bootstrap.status()));
    }
    ASSIGN_OR_RETURN_AS(
        std::unique_ptr<ShimClient> client,
        ShimClient::Connect(ctx.WithTimeout(kConnectTime), sandbox,
                            bootstrap->address, ShimClient::Known::kNothing),
        "reconnect to the shim of " + sandbox.id);
    return std::unique_ptr<Shim>(std::move(client));
  }

  Status Destroy(const Context& ctx, const SandboxShim& sandbox) override {
    struct stat status {};
    if (stat(sandbox.state_dir.c_str(), &status) != 0) return OkStatus();
    const std::optional<Bootstrap> bootstrap = Recall(ctx, sandbox);
    if (bootstrap) RETURN_IF_ERROR(KillShim(*bootstrap));
    RETURN_IF_ERROR(Failpoint("shim.destroy.killed"));
    for (const auto& [id, bundle] : ForeignBundles(sandbox)) {
      RETURN_IF_ERROR(
          RunShim(ctx, sandbox, id, bundle, "delete", kCleanUpTime).status());
      while (Unmount(bundle + "/rootfs", MNT_DETACH | UMOUNT_NOFOLLOW).ok()) {
      }
      ForgetForeignBundle(sandbox, id);
    }
    // A foreign shim has no sandbox, only containers; and it takes the last
    // part of a bundle's path for the id.
    if (!IsForeign(sandbox)) {
      RETURN_IF_ERROR(RunShim(ctx, sandbox, sandbox.id, sandbox.state_dir,
                              "delete", kCleanUpTime)
                          .status());
    }
    RETURN_IF_ERROR(Failpoint("shim.destroy.cleaned"));
    if (bootstrap) unlink(bootstrap->address.path.c_str());
    unlink(SocketPath(sandbox).c_str());
    unlink(BootstrapPath(sandbox).c_str());
    return OkStatus();
  }

 private:
  StatusOr<std::unique_ptr<Shim>> Start(const Context& ctx,
                                        const SandboxShim& sandbox) {
    if (SocketPath(sandbox).size() > 107) {
      return InvalidArgument("state directory " + sandbox.state_dir +
                             " is too long for a socket's path");
    }
    if (IsForeign(sandbox)) RETURN_IF_ERROR(PrepareForForeign(sandbox));
    ASSIGN_OR_RETURN(const std::string output,
                     RunShim(ctx, sandbox, sandbox.id, sandbox.state_dir,
                             "start", kStartTime));
    RETURN_IF_ERROR(Failpoint("shim.launch.answered"));
    Bootstrap bootstrap;
    ASSIGN_OR_RETURN_AS(bootstrap.address, ParseStartOutput(output),
                        "start the shim of " + sandbox.id);
    ASSIGN_OR_RETURN_AS(
        std::unique_ptr<ShimClient> client,
        ShimClient::Connect(
            ctx.WithTimeout(kConnectTime), sandbox, bootstrap.address,
            IsForeign(sandbox) ? ShimClient::Known::kNothing
                               : ShimClient::Known::kFreshBerthShim),
        "connect to the shim of " + sandbox.id);
    bootstrap.pid = client->shim_pid();
    const StatusOr<ProcessStat> stat = ReadProcessStat(bootstrap.pid);
    if (stat.ok()) bootstrap.start_time = stat->start_time;
    RETURN_IF_ERROR(WriteBootstrap(sandbox, bootstrap));
    RETURN_IF_ERROR(Failpoint("shim.launch.recorded"));
    RETURN_IF_ERROR_AS(client->StartSandbox(ctx.WithTimeout(kConnectTime)),
                       "start sandbox " + sandbox.id);
    return std::unique_ptr<Shim>(std::move(client));
  }

  // What was noted of the shim; or, if we were killed before that, what it
  // says of itself on the socket that we gave it.
  std::optional<Bootstrap> Recall(const Context& ctx,
                                  const SandboxShim& sandbox) {
    const StatusOr<Bootstrap> noted = ReadBootstrap(sandbox);
    if (noted.ok()) return *noted;
    Bootstrap bootstrap;
    bootstrap.address.path = SocketPath(sandbox);
    bootstrap.address.version = 3;
    const auto client =
        ShimClient::Connect(ctx.WithTimeout(kKillTime), sandbox,
                            bootstrap.address, ShimClient::Known::kNothing);
    if (!client.ok()) return std::nullopt;
    bootstrap.pid = (*client)->shim_pid();
    const StatusOr<ProcessStat> stat = ReadProcessStat(bootstrap.pid);
    if (stat.ok()) bootstrap.start_time = stat->start_time;
    return bootstrap;
  }
};

}  // namespace

std::unique_ptr<ShimLauncher> NewShimLauncher() {
  return std::make_unique<Launcher>();
}

}  // namespace berth::shim
