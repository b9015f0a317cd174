#include "shim/client/shim_launcher.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <utility>

#include "base/failpoint.h"
#include "base/fs/atomic_file.h"
#include "base/json.h"
#include "base/sys/file.h"
#include "base/sys/process.h"
#include "shim/client/foreign_bundles.h"
#include "shim/client/foreign_shim.h"
#include "shim/client/shim_client.h"
#include "shim/client/shim_command.h"
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

// One shim of a sandbox, that ForeignOf or NativeOf gave.

StatusOr<std::unique_ptr<ShimClient>> StartOne(const Context& ctx,
                                               const SandboxShim& shim) {
  ASSIGN_OR_RETURN(
      const std::string output,
      RunShim(ctx, shim, {shim.id, shim.state_dir, "start", kStartTime}));
  RETURN_IF_ERROR(Failpoint("shim.launch.answered"));
  Bootstrap bootstrap;
  ASSIGN_OR_RETURN_AS(bootstrap.address, ParseStartOutput(output),
                      "start the shim of " + shim.id);
  ASSIGN_OR_RETURN_AS(
      std::unique_ptr<ShimClient> client,
      ShimClient::Connect(ctx.WithTimeout(kConnectTime), shim,
                          bootstrap.address,
                          IsForeign(shim) ? ShimClient::Known::kNothing
                                          : ShimClient::Known::kFreshBerthShim),
      "connect to the shim of " + shim.id);
  bootstrap.pid = client->shim_pid();
  const StatusOr<ProcessStat> stat = ReadProcessStat(bootstrap.pid);
  if (stat.ok()) bootstrap.start_time = stat->start_time;
  RETURN_IF_ERROR(WriteBootstrap(shim, bootstrap));
  RETURN_IF_ERROR(Failpoint("shim.launch.recorded"));
  RETURN_IF_ERROR_AS(client->StartSandbox(ctx.WithTimeout(kConnectTime)),
                     "start sandbox " + shim.id);
  return client;
}

StatusOr<std::unique_ptr<ShimClient>> ReconnectOne(const Context& ctx,
                                                   const SandboxShim& shim) {
  const StatusOr<Bootstrap> bootstrap = ReadBootstrap(shim);
  if (!bootstrap.ok()) {
    return Unavailable("reconnect to the shim of " + shim.id + ": " +
                       Message(bootstrap.status()));
  }
  ASSIGN_OR_RETURN_AS(
      std::unique_ptr<ShimClient> client,
      ShimClient::Connect(ctx.WithTimeout(kConnectTime), shim,
                          bootstrap->address, ShimClient::Known::kNothing),
      "reconnect to the shim of " + shim.id);
  return client;
}

// Where it listens, if we were killed before that was noted: where we said, or
// where a foreign shim has written it down.
StatusOr<ShimAddress> ListensAt(const SandboxShim& shim) {
  if (!IsForeign(shim)) return ShimAddress{SocketPath(shim), 3};
  ASSIGN_OR_RETURN(const std::string text,
                   ReadFile(shim.state_dir + "/address", kMaxStateFile));
  return ParseStartOutput(text);
}

// What was noted of the shim, or what it says of itself.
std::optional<Bootstrap> Recall(const Context& ctx, const SandboxShim& shim) {
  const StatusOr<Bootstrap> noted = ReadBootstrap(shim);
  if (noted.ok()) return *noted;
  const StatusOr<ShimAddress> address = ListensAt(shim);
  if (!address.ok()) return std::nullopt;
  const auto client = ShimClient::Connect(
      ctx.WithTimeout(kKillTime), shim, *address, ShimClient::Known::kNothing);
  if (!client.ok()) return std::nullopt;
  Bootstrap bootstrap;
  bootstrap.address = *address;
  bootstrap.pid = (*client)->shim_pid();
  const StatusOr<ProcessStat> stat = ReadProcessStat(bootstrap.pid);
  if (stat.ok()) bootstrap.start_time = stat->start_time;
  return bootstrap;
}

Status DestroyOne(const Context& ctx, const SandboxShim& shim) {
  struct stat status {};
  if (stat(shim.state_dir.c_str(), &status) != 0) return OkStatus();
  const std::optional<Bootstrap> bootstrap = Recall(ctx, shim);
  if (bootstrap) RETURN_IF_ERROR(KillShim(*bootstrap));
  RETURN_IF_ERROR(Failpoint("shim.destroy.killed"));
  // A foreign shim has no sandbox, only containers; and it takes the last
  // part of a bundle's path for the id.
  RETURN_IF_ERROR(IsForeign(shim) ? CleanUpForeign(ctx, shim)
                                  : RunShim(ctx, shim,
                                            {shim.id, shim.state_dir, "delete",
                                             kCleanUpTime})
                                        .status());
  RETURN_IF_ERROR(Failpoint("shim.destroy.cleaned"));
  if (bootstrap) unlink(bootstrap->address.path.c_str());
  if (!IsForeign(shim)) unlink(SocketPath(shim).c_str());
  unlink(BootstrapPath(shim).c_str());
  return OkStatus();
}

class Launcher : public ShimLauncher {
 public:
  StatusOr<std::unique_ptr<Shim>> Launch(const Context& ctx,
                                         const SandboxShim& sandbox) override {
    StatusOr<std::unique_ptr<Shim>> shim = Start(ctx, sandbox);
    // The first error is the one to tell.
    if (!shim.ok()) End(ctx, sandbox).IgnoreError();
    return shim;
  }

  StatusOr<std::unique_ptr<Shim>> Reconnect(
      const Context& ctx, const SandboxShim& sandbox) override {
    StatusOr<std::unique_ptr<Shim>> shim = Find(ctx, sandbox);
    // The bundles of a foreign shim's containers go before it is destroyed,
    // and it cannot clean up without them.
    if (IsForeign(sandbox) &&
        shim.status().code() == StatusCode::kUnavailable) {
      RETURN_IF_ERROR(End(ctx, sandbox));
    }
    return shim;
  }

  Status Destroy(const Context& ctx, const SandboxShim& sandbox) override {
    if (IsForeign(sandbox)) {
      RETURN_IF_ERROR(DestroyOne(ctx, ForeignOf(sandbox)));
    }
    return DestroyOne(ctx, NativeOf(sandbox));
  }

 private:
  static StatusOr<std::unique_ptr<Shim>> Start(const Context& ctx,
                                               const SandboxShim& sandbox) {
    const SandboxShim native = NativeOf(sandbox);
    if (SocketPath(native).size() > 107) {
      return InvalidArgument("state directory " + sandbox.state_dir +
                             " is too long for a socket's path");
    }
    ASSIGN_OR_RETURN(std::unique_ptr<ShimClient> ours, StartOne(ctx, native));
    if (!IsForeign(sandbox)) return std::unique_ptr<Shim>(std::move(ours));
    const SandboxShim foreign = ForeignOf(sandbox);
    RETURN_IF_ERROR(PrepareForForeign(foreign));
    ASSIGN_OR_RETURN(std::unique_ptr<ShimClient> theirs,
                     StartOne(ctx, foreign));
    return Both(foreign, std::move(theirs), std::move(ours));
  }

  static StatusOr<std::unique_ptr<Shim>> Find(const Context& ctx,
                                              const SandboxShim& sandbox) {
    ASSIGN_OR_RETURN(std::unique_ptr<ShimClient> ours,
                     ReconnectOne(ctx, NativeOf(sandbox)));
    if (!IsForeign(sandbox)) return std::unique_ptr<Shim>(std::move(ours));
    const SandboxShim foreign = ForeignOf(sandbox);
    ASSIGN_OR_RETURN(std::unique_ptr<ShimClient> theirs,
                     ReconnectOne(ctx, foreign));
    return Both(foreign, std::move(theirs), std::move(ours));
  }

  static std::unique_ptr<Shim> Both(const SandboxShim& foreign,
                                    std::unique_ptr<ShimClient> theirs,
                                    std::unique_ptr<ShimClient> ours) {
    return std::make_unique<ForeignShim>(foreign, std::move(theirs),
                                         std::move(ours));
  }

  // In a time of its own.
  Status End(const Context& ctx, const SandboxShim& sandbox) {
    return Destroy(
        Context::Background(ctx.request_id()).WithTimeout(kCleanUpTime),
        sandbox);
  }
};

}  // namespace

std::unique_ptr<ShimLauncher> NewShimLauncher() {
  return std::make_unique<Launcher>();
}

}  // namespace berth::shim
