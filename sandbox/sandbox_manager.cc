#include "sandbox/sandbox_manager.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <optional>
#include <random>
#include <utility>

#include "base/failpoint.h"
#include "base/strings.h"
#include "base/thread.h"
#include "sandbox/container_end.h"
#include "sandbox/core.h"
#include "sandbox/plugin_hooks.h"
#include "sandbox/resource/cgroup_parent.h"
#include "sandbox/resource/state_directory.h"
#include "sandbox/sandbox_connect.h"
#include "sandbox/sandbox_end.h"
#include "sandbox/selinux/labels.h"
#include "sandbox/spec/check_config.h"
#include "sandbox/step.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;

// For plugins that are told that there is no such pod after all.
constexpr std::chrono::minutes kUndoTime{1};

std::string HostName() {
  char name[HOST_NAME_MAX + 1] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "localhost";
}

std::string HostnameFor(const SandboxConfig& config, const std::string& id) {
  const bool pod = config.kind() == SANDBOX_KIND_POD;
  const bool hosts = config.namespaces().network() == NAMESPACE_MODE_NODE;
  if (!config.hostname().empty() && !(pod && hosts)) return config.hostname();
  return pod || hosts ? HostName() : id.substr(0, 12);
}

Status AcquireOne(const Context& ctx, SandboxResource& resource,
                  SandboxRecord& sandbox) {
  return Annotate(resource.Acquire(ctx, sandbox), resource.name());
}

// The last two at once: plugins take longer than all else together, and
// neither needs the other. Each works on a record of its own.
Status AcquireTogether(const Context& ctx, SandboxResource& network,
                       SandboxResource& shim, SandboxRecord& sandbox) {
  SandboxRecord other = sandbox;
  Status attached;
  ASSIGN_OR_RETURN(Thread plugins, StartThread("acquire-network", [&] {
                     attached = AcquireOne(ctx, network, other);
                   }));
  const Status launched = AcquireOne(ctx, shim, sandbox);
  plugins.Join();
  *sandbox.mutable_network() = std::move(*other.mutable_network());
  *sandbox.mutable_more_networks() = std::move(*other.mutable_more_networks());
  RETURN_IF_ERROR(attached);
  return launched;
}

Status AcquireAll(const Context& ctx, Core& core, SandboxRecord& sandbox) {
  const size_t count = core.resources.size();
  for (size_t i = 0; i < count; ++i) {
    SandboxResource& resource = *core.resources[i];
    sandbox.add_begun(resource.name());
    const bool together =
        resource.name() == "network" && i + 2 == count &&
        sandbox.config().namespaces().network() == NAMESPACE_MODE_POD;
    if (together) sandbox.add_begun(core.resources[i + 1]->name());
    // What was made before this one, and that this one begins.
    RETURN_IF_ERROR(core.records.Save(sandbox));
    if (together) {
      return AcquireTogether(ctx, resource, *core.resources[i + 1], sandbox);
    }
    RETURN_IF_ERROR(AcquireOne(ctx, resource, sandbox));
  }
  return OkStatus();
}

// From all that it needs to what all can see.
Status Introduce(const Context& ctx, Core& core, HeldSandbox& held) {
  SandboxRecord& sandbox = held.record();
  ASSIGN_OR_RETURN(const Gate::Pass making, KeepPluginsOut(ctx, core));
  sandbox.set_ready_at(Now());
  Status ready = TellPlugins(ctx, core, nri::api::RUN_POD_SANDBOX, sandbox);
  if (ready.ok()) ready = held.Advance(SANDBOX_PHASE_READY);
  if (ready.ok()) return OkStatus();
  // Those that heard of it before another said no.
  const Context undo = Context::Background(sandbox.id()).WithTimeout(kUndoTime);
  LogFailure("roll back sandbox " + sandbox.id(),
             TellPlugins(undo, core, nri::api::REMOVE_POD_SANDBOX, sandbox));
  return ready;
}

// A pod that could not be started is gone, name and all; if that fails too, it
// stays for Stop and Remove to try again.
void RollBack(Core& core, SandboxRecord& sandbox, const Status& failure) {
  const SandboxId id(sandbox.id());
  const Status released =
      ReleaseAll(Context::Background(sandbox.id()), core, sandbox);
  LogFailure("roll back sandbox " + sandbox.id(), released);
  const bool pod = sandbox.config().kind() == SANDBOX_KIND_POD;
  if (released.ok() && pod) {
    core.records.Forget(id);
    core.names.Release(NameOf(sandbox.config()), sandbox.id());
    ReleaseLevel(core, sandbox);
    DetachLater(core, id);
    return;
  }
  sandbox.set_phase(released.ok() ? SANDBOX_PHASE_STOPPED
                                  : SANDBOX_PHASE_STOPPING);
  sandbox.set_reason("StartError");
  sandbox.set_message(Message(failure));
  sandbox.set_stopped_at(Now());
  core.records.Keep(sandbox);
}

// Gives the sandbox a level of SELinux that no other has, or the one that is
// asked for, which several may have; and the label of its files.
StatusOr<NameIndex::Claim> ClaimLevel(Core& core, SandboxRecord& sandbox) {
  constexpr int kMaxTries = 100'000;
  const SelinuxContexts& contexts = core.host.selinux;
  // Without SELinux all have the empty level.
  if (contexts.empty()) return core.levels.Take("", sandbox.id());
  const SelinuxOptions& options = sandbox.config().security().selinux();
  const uint64_t start = std::random_device()();
  for (int i = 0; i < kMaxTries; ++i) {
    sandbox.set_selinux_level(options.level().empty() ? CategoryPair(start + i)
                                                      : options.level());
    NameIndex::Claim claim =
        core.levels.Take(sandbox.selinux_level(), sandbox.id());
    if (!claim.mine() && options.level().empty()) continue;
    sandbox.set_mount_label(
        LabelsOf(contexts, {}, options, sandbox.selinux_level()).mount);
    RETURN_IF_ERROR(CheckLabel(core.paths.sys, sandbox.mount_label()));
    return claim;
  }
  return ResourceExhausted("selinux: no pair of categories is free");
}

}  // namespace

SandboxManager::SandboxManager(World& world) : world_(world) {}
SandboxManager::~SandboxManager() = default;

StatusOr<SandboxId> SandboxManager::Create(const Context& ctx,
                                           const SandboxConfig& config) {
  Core& core = world_.core();
  const std::string& name = config.metadata().name();
  RETURN_IF_ERROR_AS(CheckSandboxConfig(config),
                     "create sandbox " + Quoted(name));
  RETURN_IF_ERROR(
      CheckCgroupParent(config.cgroup_parent(), core.settings.systemd_cgroup));
  const auto runtime = core.settings.runtimes.find(config.runtime_handler());
  if (runtime == core.settings.runtimes.end()) {
    return InvalidArgument("runtime_handler " +
                           Quoted(config.runtime_handler()) +
                           ": not configured");
  }
  if (config.namespaces().uid_mappings_size() > 0) {
    const std::string what =
        "create sandbox " + Quoted(name) + ": namespaces.uid_mappings";
    RETURN_IF_ERROR_AS(core.host.user_namespaces, what);
    if (!runtime->second.helper.empty()) {
      return Unimplemented(what + " with runtime_handler " +
                           Quoted(config.runtime_handler()));
    }
  }
  const SandboxId id(RandomId());
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock,
                   core.sandbox_locks.Acquire(ctx, id.str()));
  NameIndex::Claim claim = core.names.Take(NameOf(config), id.str());
  if (!claim.mine()) {
    const SandboxStatus holder =
        core.inventory.FindSandbox(SandboxId(claim.id()));
    const bool starting = claim.busy() || !holder ||
                          (config.kind() == SANDBOX_KIND_POD &&
                           (holder->phase() == SANDBOX_PHASE_CREATED ||
                            holder->phase() == SANDBOX_PHASE_STARTING));
    if (starting) return SandboxId(claim.id());
    return AlreadyExists("sandbox name " + Quoted(name) +
                         ": taken by sandbox " + claim.id());
  }
  SandboxRecord sandbox;
  sandbox.set_id(id.str());
  *sandbox.mutable_config() = config;
  sandbox.set_phase(SANDBOX_PHASE_CREATED);
  sandbox.set_created_at(Now());
  sandbox.set_hostname(HostnameFor(config, id.str()));
  ASSIGN_OR_RETURN(NameIndex::Claim level, ClaimLevel(core, sandbox));
  RETURN_IF_ERROR(core.records.Save(sandbox));
  claim.Keep();
  if (level.mine()) level.Keep();
  // Who had it may have gone since, and not have seen this one.
  core.levels.Put(sandbox.selinux_level(), sandbox.id());
  RETURN_IF_ERROR(Failpoint("sandbox.run.recorded"));
  core.Publish(Event::Type::kSandboxCreated, sandbox);
  return id;
}

Status SandboxManager::Start(const Context& ctx, const SandboxId& id) {
  Core& core = world_.core();
  ASSIGN_OR_RETURN(HeldSandbox held, core.records.Hold(ctx, id, "start"));
  SandboxRecord& sandbox = held.record();
  if (sandbox.phase() == SANDBOX_PHASE_READY) return OkStatus();
  sandbox.set_boot_id(core.boot_id);
  sandbox.clear_reason();
  sandbox.clear_message();
  sandbox.set_stopped_at(0);
  RETURN_IF_ERROR(held.Advance(SANDBOX_PHASE_STARTING));
  Status started = Failpoint("sandbox.start.recorded");
  if (started.ok()) started = AcquireAll(ctx, core, sandbox);
  if (started.ok() && sandbox.config().kind() == SANDBOX_KIND_STANDALONE) {
    started = WriteHostsFile(sandbox);
  }
  if (started.ok()) started = Failpoint("sandbox.start.acquired");
  if (started.ok()) started = Introduce(ctx, core, held);
  if (!started.ok()) {
    RollBack(core, sandbox, started);
    return StepError(started, "start sandbox " + id.str());
  }
  core.network_names.Update(sandbox.config());
  Passed("sandbox.start.ready");
  core.Publish(Event::Type::kSandboxStarted, sandbox);
  return OkStatus();
}

StatusOr<SandboxId> SandboxManager::Run(const Context& ctx,
                                        const SandboxConfig& config) {
  while (true) {
    RETURN_IF_ERROR_AS(ctx.Check(), "run sandbox");
    ASSIGN_OR_RETURN(const SandboxId id, Create(ctx, config));
    const Status started = Start(ctx, id);
    if (started.ok()) return id;
    // Somebody else's try, which has failed and is cleaned up: ours is next.
    if (!IsNotFound(started)) return started;
  }
}

Status SandboxManager::Update(const Context& ctx, const SandboxId& id,
                              const std::optional<Resources>& overhead,
                              const std::optional<Resources>& resources) {
  Core& core = world_.core();
  ASSIGN_OR_RETURN(HeldSandbox held, core.records.Hold(ctx, id, "update"));
  SandboxConfig config = held.record().config();
  if (overhead) *config.mutable_overhead() = *overhead;
  if (resources) *config.mutable_resources() = *resources;
  RETURN_IF_ERROR_AS(AskForNewPodLimits(ctx, core, held.record(),
                                        config.overhead(), config.resources()),
                     "update sandbox " + id.str());
  *held.record().mutable_config() = std::move(config);
  RETURN_IF_ERROR(core.records.Save(held.record()));
  LogFailure(
      "tell plugins of sandbox " + id.str(),
      TellPlugins(ctx, core, nri::api::POST_UPDATE_POD_SANDBOX, held.record()));
  return OkStatus();
}

Status SandboxManager::Stop(const Context& ctx, const SandboxId& id) {
  Core& core = world_.core();
  StatusOr<HeldSandbox> held = core.records.Hold(ctx, id, "stop");
  if (!held.ok()) return IgnoreNotFound(held.status());
  return EndSandbox(ctx, core, held->record());
}

Status SandboxManager::Remove(const Context& ctx, const SandboxId& id) {
  Core& core = world_.core();
  StatusOr<HeldSandbox> held = core.records.Hold(ctx, id, "remove");
  if (!held.ok()) return IgnoreNotFound(held.status());
  return EraseSandbox(ctx, core, held->record());
}

Status SandboxManager::Connect(const Context& ctx, const SandboxId& id,
                               const NetworkAttachment& network) {
  Core& core = world_.core();
  ASSIGN_OR_RETURN(HeldSandbox held, core.records.Hold(ctx, id, "connect"));
  return ConnectSandbox(ctx, core, held.record(), network);
}

Status SandboxManager::Disconnect(const Context& ctx, const SandboxId& id,
                                  const std::string& network) {
  Core& core = world_.core();
  ASSIGN_OR_RETURN(HeldSandbox held, core.records.Hold(ctx, id, "disconnect"));
  return DisconnectSandbox(ctx, core, held.record(), network);
}

Status SandboxManager::SetLinkedHosts(const Context& ctx, const SandboxId& id,
                                      const std::vector<std::string>& lines) {
  Core& core = world_.core();
  ASSIGN_OR_RETURN(HeldSandbox held, core.records.Hold(ctx, id, "link"));
  SandboxRecord& sandbox = held.record();
  sandbox.mutable_config()->mutable_linked_hosts()->Assign(lines.begin(),
                                                           lines.end());
  RETURN_IF_ERROR(core.records.Save(sandbox));
  if (sandbox.phase() != SANDBOX_PHASE_READY) return OkStatus();
  return Annotate(WriteHostsFile(sandbox), "link sandbox " + id.str());
}

Status SandboxManager::SetDoorNotes(const Context& ctx, const SandboxId& id,
                                    const std::string& notes) {
  Core& core = world_.core();
  ASSIGN_OR_RETURN(HeldSandbox held, core.records.Hold(ctx, id, "annotate"));
  held.record().mutable_config()->set_door_notes(notes);
  return core.records.Save(held.record());
}

}  // namespace berth::sandbox
