#include "docker/lifecycle.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <glog/logging.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "base/failpoint.h"
#include "base/fs/tree.h"
#include "base/mutex.h"
#include "base/unique_fd.h"
#include "docker/links.h"
#include "docker/networks.h"
#include "docker/restart_monitor.h"
#include "sandbox/ids.h"

namespace berth::docker {
namespace {

using sandbox::ContainerId;
using sandbox::SandboxId;

SandboxId SandboxOf(const View& view) {
  return SandboxId(view.container->sandbox_id());
}

// One of them takes what the other wants.
bool Collide(const state::v1::PortMapping& a, const state::v1::PortMapping& b) {
  const auto any = [](const state::v1::PortMapping& port) {
    return port.host_ip().empty() || port.host_ip() == "0.0.0.0";
  };
  return a.host_port() == b.host_port() && a.protocol() == b.protocol() &&
         (any(a) || any(b) || a.host_ip() == b.host_ip());
}

// A program of the host listens there, and would be cut off. Addresses that
// cannot be tried are left to the network's plugins.
bool Listening(const state::v1::PortMapping& port) {
  if (port.protocol() != state::v1::PROTOCOL_TCP) return false;
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port.host_port()));
  if (!port.host_ip().empty() &&
      inet_pton(AF_INET, port.host_ip().c_str(), &address.sin_addr) != 1) {
    return false;
  }
  const UniqueFd probe(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;  // the rests of old connections are no listener
  setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  return probe.valid() &&
         bind(probe.get(), reinterpret_cast<const sockaddr*>(&address),
              sizeof(address)) != 0 &&
         errno == EADDRINUSE;
}

Status CheckPort(const Engine& engine, const View& view,
                 const state::v1::PortMapping& wanted) {
  const std::string failed =
      "driver failed programming external connectivity on endpoint " +
      view.name() + ": Bind for " +
      (wanted.host_ip().empty() ? "0.0.0.0" : wanted.host_ip()) + ":" +
      std::to_string(wanted.host_port()) + " failed: ";
  for (const auto& other : engine.inventory().Sandboxes({})) {
    if (other->id() == view.sandbox->id() ||
        other->phase() != state::v1::SANDBOX_PHASE_READY) {
      continue;
    }
    for (const auto& port : other->config().port_mappings()) {
      if (port.host_port() > 0 && Collide(port, wanted)) {
        return Internal(failed + "port is already allocated");
      }
    }
  }
  if (Listening(wanted)) return Internal(failed + "address already in use");
  return OkStatus();
}

Status CheckPorts(const Engine& engine, const View& view) {
  // A sandbox that is ready has them already.
  if (view.sandbox == nullptr ||
      view.sandbox->phase() == state::v1::SANDBOX_PHASE_READY) {
    return OkStatus();
  }
  for (const auto& port : view.sandbox->config().port_mappings()) {
    if (port.host_port() > 0) {
      RETURN_IF_ERROR(CheckPort(engine, view, port));
    }
  }
  return OkStatus();
}

// Others that want one of its ports wait until its sandbox is ready, and then
// see that the port is taken. Keys of engine.ports beside that of a create; in
// order, so that no two wait for each other.
StatusOr<std::vector<KeyedMutex::Lock>> HoldPorts(Engine& engine,
                                                  const Context& ctx,
                                                  const View& view) {
  std::set<std::string> keys;
  if (view.sandbox != nullptr) {
    for (const auto& port : view.sandbox->config().port_mappings()) {
      if (port.host_port() == 0) continue;
      keys.insert(std::to_string(port.protocol()) + " port " +
                  std::to_string(port.host_port()));
    }
  }
  std::vector<KeyedMutex::Lock> held;
  for (const std::string& key : keys) {
    ASSIGN_OR_RETURN(KeyedMutex::Lock lock, engine.ports.Acquire(ctx, key));
    held.push_back(std::move(lock));
  }
  return held;
}

// The variables that the container is to have of links.
StatusOr<std::vector<std::string>> StartSandbox(Engine& engine,
                                                const Context& ctx,
                                                const View& view) {
  ASSIGN_OR_RETURN(const std::vector<KeyedMutex::Lock> ports,
                   HoldPorts(engine, ctx, view));
  RETURN_IF_ERROR(CheckPorts(engine, view));
  // A reboot or a lost shim leaves it half ended.
  if (view.sandbox != nullptr &&
      view.sandbox->phase() == state::v1::SANDBOX_PHASE_STOPPING) {
    RETURN_IF_ERROR(engine.sandboxes.Stop(ctx, SandboxOf(view)));
  }
  const bool ready = view.sandbox != nullptr &&
                     view.sandbox->phase() == state::v1::SANDBOX_PHASE_READY;
  if (!ready) RETURN_IF_ERROR(ResolveNetworks(engine, ctx, view));
  ASSIGN_OR_RETURN(std::vector<std::string> env, SetLinks(engine, ctx, view));
  RETURN_IF_ERROR(engine.sandboxes.Start(ctx, SandboxOf(view)));
  if (!ready) PublishNetworkEvents(engine, view, "connect");
  RETURN_IF_ERROR(Failpoint("docker.start.sandbox"));
  return env;
}

Status StartBoth(Engine& engine, const Context& ctx, const View& view) {
  const ContainerId id(view.id());
  const StatusOr<MountedVolumes> volumes =
      MountedVolumes::Of(engine, ctx, view);
  const StatusOr<std::vector<std::string>> ready =
      volumes.ok() ? StartSandbox(engine, ctx, view) : volumes.status();
  if (ready.ok()) {
    RETURN_IF_ERROR(engine.containers.Start(ctx, id, *ready));
    TellLinking(engine, ctx, view.id());
    return OkStatus();
  }
  // As if the container's own start had failed: code 128 and the reason.
  LogFailure("record failed start of container " + view.id(),
             engine.containers.FailStart(Context::Background(ctx.request_id()),
                                         id, ready.status()));
  return ready.status();
}

// Reads, changes and saves; saves nothing if nothing changes, or in place of
// notes that cannot be read.
Status ChangeNotes(Engine& engine, const Context& ctx, const std::string& id,
                   const std::function<void(const View&, Notes&)>& change) {
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock, engine.notes.Acquire(ctx, id));
  const View view = ViewOf(engine, id);
  if (view.container == nullptr) return NotFound("No such container: " + id);
  if (!view.notes_status.ok()) return OkStatus();
  Notes notes = *view.notes;
  change(view, notes);
  if (notes.stopped_by_hand == view.notes->stopped_by_hand &&
      notes.restarts_before == view.notes->restarts_before) {
    return OkStatus();
  }
  return engine.containers.SetDoorNotes(ctx, ContainerId(id),
                                        SerializeNotes(notes));
}

std::vector<std::string> AnonymousVolumesOf(const Engine& engine,
                                            const View& view) {
  std::vector<std::string> names;
  for (const auto& mount : view.container->config().mounts()) {
    if (mount.volume().empty()) continue;
    const StatusOr<Volume> volume = engine.volumes.Get(mount.volume());
    if (volume.ok() && volume->anonymous()) names.push_back(volume->name);
  }
  return names;
}

std::vector<std::string> UsersOf(const Engine& engine,
                                 const std::string& volume, bool running) {
  std::vector<std::string> users;
  for (const View& view : AllViews(engine)) {
    if (running && !view.running()) continue;
    for (const auto& mount : view.container->config().mounts()) {
      if (mount.volume() == volume) {
        users.push_back(view.id());
        break;
      }
    }
  }
  return users;
}

std::vector<std::string> VolumesOf(const View& view) {
  std::vector<std::string> names;
  for (const auto& mount : view.container->config().mounts()) {
    if (!mount.volume().empty()) names.push_back(mount.volume());
  }
  return names;
}

void Unmount(Engine& engine, const std::vector<std::string>& names) {
  const Context ctx = Context::Background("docker");
  for (const std::string& name : names) {
    LogFailure("unmount volume " + name, engine.volumes.Detach(ctx, name, [&] {
      return UsersOf(engine, name, /*running=*/true);
    }));
  }
}

constexpr Duration kFirstVolumeRetry = std::chrono::seconds(1);
constexpr Duration kLastVolumeRetry = std::chrono::minutes(5);

// Tries until it is done, is in use again, or the daemon ends: the next one
// sweeps what is left then.
void RemoveVolumeLater(Engine& engine, const std::string& name) {
  engine.background.Run([&engine, name](const Context& ctx) {
    Mutex mutex;
    CondVar never;
    for (Duration delay = kFirstVolumeRetry; !ctx.cancelled();
         delay = std::min(2 * delay, kLastVolumeRetry)) {
      {
        MutexLock lock(mutex);
        (void)ctx.WithTimeout(delay).Await(mutex, never, [] { return false; });
      }
      if (ctx.cancelled()) return;
      const Status gone = RemoveVolume(engine, ctx, name);
      if (gone.ok() || IsNotFound(gone) ||
          gone.code() == StatusCode::kFailedPrecondition) {
        return;
      }
      LogFailure("remove volume " + name, gone);
    }
  });
}

// After the volumes have their marks. What fails is tried again later.
Status FinishRemoval(Engine& engine, const Context& ctx, const View& view,
                     const std::vector<std::string>& anonymous, bool volumes) {
  const Status removed =
      engine.sandboxes.Remove(ctx.WithTimeout(kWindUpLimit), SandboxOf(view));
  if (!removed.ok()) {
    if (engine.monitor != nullptr) engine.monitor->SettleLater(view.id());
    return removed;
  }
  UnmountVolumes(engine, view);
  LogFailure("remove container " + view.id(),
             Failpoint("docker.remove.sandbox"));
  if (engine.monitor != nullptr) engine.monitor->Forget(view.id());
  engine.execs.Forget(view.id());
  if (!view.notes->log_directory.empty()) {
    LogFailure("remove the log of container " + view.id(),
               RemoveTree(AT_FDCWD, view.notes->log_directory));
  }
  for (const std::string& name : anonymous) {
    if (!volumes && !engine.volumes.IsAbandoned(name)) continue;
    const Status gone = RemoveVolume(engine, ctx, name);
    if (gone.code() == StatusCode::kFailedPrecondition) continue;
    LogFailure("remove volume " + name, gone);
    if (!gone.ok() && !IsNotFound(gone)) RemoveVolumeLater(engine, name);
  }
  return OkStatus();
}

}  // namespace

void LogFailure(const std::string& doing, const Status& status) {
  if (!status.ok()) LOG(WARNING) << doing << ": " << Message(status);
}

Context Lasting(const Engine& engine) {
  return engine.monitor != nullptr ? engine.monitor->until()
                                   : Context::Background("docker");
}

Status MarkStoppedByHand(Engine& engine, const Context& ctx,
                         const std::string& id) {
  return ChangeNotes(engine, ctx, id, [](const View&, Notes& notes) {
    notes.stopped_by_hand = true;
  });
}

Status MarkStartedByHand(Engine& engine, const Context& ctx,
                         const std::string& id) {
  return ChangeNotes(engine, ctx, id, [](const View& view, Notes& notes) {
    notes.stopped_by_hand = false;
    if (notes.restart_policy() == "no") return;
    // The record counts every start but the first.
    const bool first = view.container->started_at() == 0;
    notes.restarts_before =
        first ? 0 : view.container->restart_count() + int64_t{1};
  });
}

Status StartContainer(Engine& engine, const Context& ctx, const View& view) {
  const Status started = StartBoth(engine, ctx, view);
  if (started.ok()) return OkStatus();
  // Its own context, as that of the request may have ended.
  const Context clean_up = Context::Background(ctx.request_id());
  Status gone = engine.sandboxes.Stop(clean_up, SandboxOf(view));
  LogFailure("stop the sandbox of container " + view.id(), gone);
  if (view.notes->auto_remove()) {
    gone = RemoveContainer(engine, clean_up, view, true);
    LogFailure("remove container " + view.id(), gone);
  }
  if (!gone.ok() && engine.monitor != nullptr) {
    engine.monitor->SettleLater(view.id());
  }
  return started;
}

std::vector<std::string> UsersOf(const Engine& engine,
                                 const std::string& volume) {
  return UsersOf(engine, volume, /*running=*/false);
}

StatusOr<MountedVolumes> MountedVolumes::Of(Engine& engine, const Context& ctx,
                                            const View& view) {
  MountedVolumes volumes(engine);
  for (const std::string& name : VolumesOf(view)) {
    volumes.uses_.push_back(engine.volumes.BeginUse(name));
    volumes.names_.push_back(name);
    const Status attached = engine.volumes.Attach(ctx, name);
    // NOT_FOUND is the container's.
    if (IsNotFound(attached)) return Internal(Message(attached));
    RETURN_IF_ERROR(attached);
  }
  return volumes;
}

MountedVolumes::~MountedVolumes() {
  uses_.clear();
  Unmount(engine_, names_);
}

void UnmountVolumes(Engine& engine, const View& view) {
  Unmount(engine, VolumesOf(view));
}

Status RemoveVolume(Engine& engine, const Context& ctx,
                    const std::string& name) {
  RETURN_IF_ERROR(
      engine.volumes.Remove(ctx, name, [&] { return UsersOf(engine, name); }));
  engine.events.Publish("volume", "destroy", name, {{"driver", "local"}});
  return OkStatus();
}

Status RemoveContainer(Engine& engine, const Context& ctx, const View& view,
                       bool volumes) {
  const std::vector<std::string> anonymous = AnonymousVolumesOf(engine, view);
  for (const std::string& name : anonymous) {
    LogFailure("volume " + name, volumes ? engine.volumes.Abandon(name)
                                         : engine.volumes.Claim(name));
  }
  return FinishRemoval(engine, ctx, view, anonymous, volumes);
}

namespace {

// With the lifecycle lock; what is begun goes on without whoever asked for it.
Status SettleHeld(Engine& engine, const std::string& id) {
  if (engine.monitor != nullptr && engine.monitor->Expected(id)) {
    return OkStatus();  // a restart by hand goes on from here
  }
  const View view = ViewOf(engine, id);
  if (view.container == nullptr || !view.ours()) return OkStatus();
  const Context ctx = Lasting(engine).WithTimeout(kWindUpLimit);
  const bool auto_remove = view.notes->auto_remove();
  if (view.container->phase() == state::v1::CONTAINER_PHASE_REMOVING) {
    // Its volumes have been marked, if they are to go with it.
    return FinishRemoval(engine, ctx, view, AnonymousVolumesOf(engine, view),
                         auto_remove);
  }
  if (view.container->phase() != state::v1::CONTAINER_PHASE_EXITED) {
    return OkStatus();
  }
  if (engine.monitor != nullptr && engine.monitor->Schedule(view)) {
    return OkStatus();
  }
  const bool ready = view.sandbox != nullptr &&
                     view.sandbox->phase() == state::v1::SANDBOX_PHASE_READY;
  RETURN_IF_ERROR(engine.sandboxes.Stop(ctx, SandboxOf(view)));
  UnmountVolumes(engine, view);
  if (ready) PublishNetworkEvents(engine, view, "disconnect");
  RETURN_IF_ERROR(Failpoint("docker.exit.stopped"));
  return auto_remove ? RemoveContainer(engine, ctx, view, true) : OkStatus();
}

}  // namespace

Status SettleExit(Engine& engine, const Context& ctx, const std::string& id) {
  const StatusOr<KeyedMutex::Lock> lock = engine.lifecycle.Acquire(ctx, id);
  const Status settled = lock.ok() ? SettleHeld(engine, id) : lock.status();
  if (engine.monitor == nullptr) return settled;
  if (settled.ok()) {
    engine.monitor->Settled(id);
  } else {
    engine.monitor->SettleLater(id);
  }
  return settled;
}

}  // namespace berth::docker
