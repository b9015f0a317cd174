// Making and forgetting containers: Create, Remove, and what only changes the
// record.
#include <chrono>
#include <optional>
#include <utility>

#include "base/failpoint.h"
#include "base/strings.h"
#include "base/undo.h"
#include "sandbox/container_end.h"
#include "sandbox/container_manager.h"
#include "sandbox/container_mounts.h"
#include "sandbox/container_plan.h"
#include "sandbox/core.h"
#include "sandbox/plugin_hooks.h"
#include "sandbox/record/files.h"
#include "sandbox/spec/check_config.h"
#include "sandbox/step.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;

StatusOr<SandboxStatus> OpenSandbox(const Core& core, const SandboxId& id) {
  const SandboxStatus sandbox = core.inventory.FindSandbox(id);
  if (!sandbox) return NotFound("find sandbox " + id.str() + ": no such one");
  const bool pod = sandbox->config().kind() == SANDBOX_KIND_POD;
  const bool open = pod ? sandbox->phase() == SANDBOX_PHASE_READY
                        : sandbox->phase() != SANDBOX_PHASE_REMOVING;
  if (open) return sandbox;
  return FailedPrecondition("sandbox " + id.str() + ": not ready");
}

// What undoes does not end with the request.
Context UndoContext(const ContainerId& id) {
  return Context::Background(id.str()).WithTimeout(std::chrono::minutes(1));
}

// Binds the plan for its errors, as what Start would find wrong is found now;
// once more if plugins have changed it.
Status Adjust(const Context& ctx, Core& core, const SandboxRecord& sandbox,
              ContainerRecord& container, oci::Spec plan,
              const std::vector<std::string>& image_roots) {
  ASSIGN_OR_RETURN(
      const oci::Spec spec,
      BindPlan(ctx, core, sandbox, container, std::move(plan), image_roots));
  RETURN_IF_ERROR(AdjustByPlugins(ctx, core, sandbox, container, spec));
  if (container.plan().adjustment().empty()) return OkStatus();
  ASSIGN_OR_RETURN(oci::Spec adjusted, SavedPlan(container));
  return BindPlan(ctx, core, sandbox, container, std::move(adjusted),
                  image_roots)
      .status();
}

// Those that heard of a container before another said no.
void TellOfUndo(Core& core, const ContainerRecord& container) {
  const ContainerId id(container.id());
  LogFailure("undo creation of container " + id.str(),
             TellPlugins(UndoContext(id), core, nri::api::REMOVE_CONTAINER,
                         container));
}

// Everything from the record to a root file system that is known to be good.
// On failure nothing is left.
Status MakeContainer(const Context& ctx, Core& core, const SandboxId& in,
                     ContainerRecord& container) {
  const ContainerId id(container.id());
  // Before `undo`, whose actions use it when this function ends.
  bool released = true;
  Undo undo;
  RETURN_IF_ERROR(core.records.Save(container));
  undo.Add([&] {
    if (released) return core.records.Forget(id);
    // Whoever removes the container later tries again.
    container.set_phase(CONTAINER_PHASE_REMOVING);
    core.records.Keep(container);
  });
  RETURN_IF_ERROR(Failpoint("container.create.recorded"));
  // Again, now that a Remove of the sandbox can see us: it either waits for
  // this container or has closed the sandbox before.
  ASSIGN_OR_RETURN(const SandboxStatus sandbox, OpenSandbox(core, in));

  undo.Add([&] {
    const Status given_back =
        core.parts.images.Release(UndoContext(id), container.snapshot_key());
    LogFailure("undo creation of container " + id.str(), given_back);
    released = given_back.ok();
  });
  ASSIGN_OR_RETURN_AS(const image::Rootfs rootfs,
                      AcquireRootfs(ctx, core, container), "root file system");
  RETURN_IF_ERROR(Failpoint("container.create.rootfs"));

  undo.Add([&] {
    LogFailure("undo creation of container " + id.str(),
               CleanState(core, container));
    for (const std::string& key : ImageMountKeys(container)) {
      LogFailure("undo creation of container " + id.str(),
                 core.parts.images.Release(UndoContext(id), key));
    }
    LogFailure("undo creation of container " + id.str(),
               RemoveTree(core.paths.ContainerRoot(id.str())));
  });
  ASSIGN_OR_RETURN(const std::vector<std::string> image_roots,
                   MountImages(ctx, core, *sandbox, container));
  RETURN_IF_ERROR(MakeVolumes(ctx, core, container, rootfs));
  RETURN_IF_ERROR(Failpoint("container.create.volumes"));

  ASSIGN_OR_RETURN(oci::Spec plan,
                   PlanContainer(core, *sandbox, container, rootfs.config));
  ASSIGN_OR_RETURN(const Gate::Pass making, KeepPluginsOut(ctx, core));
  undo.Add([&] { TellOfUndo(core, container); });
  RETURN_IF_ERROR(
      Adjust(ctx, core, *sandbox, container, std::move(plan), image_roots));
  RETURN_IF_ERROR(Failpoint("container.create.adjusted"));
  container.set_phase(CONTAINER_PHASE_CREATED);
  RETURN_IF_ERROR(core.records.Save(container));
  RETURN_IF_ERROR(Failpoint("container.create.saved"));
  undo.Commit();
  return OkStatus();
}

// Only our own runtime loads two profiles as one filter: others would pass over
// the second.
Status CheckProfile(const Core& core, const SandboxRecord& sandbox,
                    const ContainerConfig& config) {
  if (config.security().seccomp().type() != SecurityProfile::OCI ||
      config.security().privileged()) {
    return OkStatus();
  }
  const std::string& handler = sandbox.config().runtime_handler();
  const auto runtime = core.settings.runtimes.find(handler);
  const bool ours = runtime != core.settings.runtimes.end() &&
                    runtime->second.helper.empty() &&
                    runtime->second.program.empty();
  if (ours) return OkStatus();
  return Unimplemented("seccomp.oci_ref with runtime_handler " +
                       Quoted(handler));
}

}  // namespace

ContainerManager::ContainerManager(World& world) : world_(world) {}
ContainerManager::~ContainerManager() = default;

StatusOr<ContainerId> ContainerManager::Create(
    const Context& ctx, const SandboxId& in, const ContainerConfig& config,
    std::optional<NameIndex::Claim> name) {
  Core& core = world_.core();
  ASSIGN_OR_RETURN(const SandboxStatus sandbox, OpenSandbox(core, in));
  RETURN_IF_ERROR_AS(CheckContainerConfig(config, sandbox->config()),
                     "create container " + Quoted(config.name()));
  RETURN_IF_ERROR_AS(CheckProfile(core, *sandbox, config),
                     "create container " + Quoted(config.name()));
  while (true) {
    RETURN_IF_ERROR_AS(ctx.Check(), "create container");
    // A sandbox with one container is one thing to its user: one id.
    const bool alone = sandbox->config().kind() == SANDBOX_KIND_STANDALONE;
    const ContainerId id(alone ? in.str() : RandomId());
    ASSIGN_OR_RETURN(const KeyedMutex::Lock lock,
                     core.container_locks.Acquire(ctx, id.str()));
    NameIndex::Claim claim =
        core.names.Take(NameOf(in.str(), config), id.str());
    if (!claim.mine()) {
      if (!claim.busy()) {
        return AlreadyExists("container name " + Quoted(config.name()) +
                             ": taken by container " + claim.id());
      }
      // A retry joins the first try.
      ASSIGN_OR_RETURN_AS(const KeyedMutex::Lock first,
                          core.container_locks.Acquire(ctx, claim.id()),
                          "create container " + Quoted(config.name()));
      const ContainerId made(claim.id());
      if (core.inventory.FindContainer(made)) return made;
      continue;
    }
    ContainerRecord container;
    container.set_id(id.str());
    container.set_sandbox_id(in.str());
    *container.mutable_config() = config;
    container.set_phase(CONTAINER_PHASE_CREATING);
    container.set_created_at(Now());
    container.set_snapshot_key(id.str());
    RETURN_IF_ERROR(StepError(MakeContainer(ctx, core, in, container),
                              "create container " + Quoted(config.name()),
                              StepOf::kAsked));
    claim.Keep();
    if (name.has_value()) name->Keep(id.str());
    core.Publish(Event::Type::kContainerCreated, container);
    LogFailure(
        "tell plugins of container " + id.str(),
        TellPlugins(ctx, core, nri::api::POST_CREATE_CONTAINER, container));
    return id;
  }
}

Status ContainerManager::Remove(const Context& ctx, const ContainerId& id) {
  Core& core = world_.core();
  // Before the lock: a Start that hangs holds it.
  if (const ContainerStatus now = core.inventory.FindContainer(id)) {
    KillContainer(core, RunOf(*now));
  }
  ASSIGN_OR_RETURN(KeyedMutex::Lock lock,
                   core.container_locks.Acquire(ctx, id.str()));
  return StepError(EraseContainer(ctx, core, id, lock),
                   "remove container " + id.str());
}

Status ContainerManager::Rename(const Context& ctx, const ContainerId& id,
                                const std::string& name) {
  Core& core = world_.core();
  ASSIGN_OR_RETURN(HeldContainer held, core.records.Hold(ctx, id, "rename"));
  ContainerRecord& container = held.record();
  const std::string old = NameOf(container.sandbox_id(), container.config());
  const std::string old_on_node = StandaloneName(container.config().name());
  container.mutable_config()->set_name(name);
  NameIndex::Claim claim = core.names.Take(
      NameOf(container.sandbox_id(), container.config()), id.str());
  if (!claim.mine()) {
    return claim.id() == id.str()
               ? OkStatus()
               : AlreadyExists("container name " + Quoted(name) +
                               ": taken by container " + claim.id());
  }
  std::optional<NameIndex::Claim> on_node;
  if (IsStandalone(container)) {
    on_node.emplace(core.names.Take(StandaloneName(name), id.str()));
    if (!on_node->mine()) {
      return AlreadyExists("container name " + Quoted(name) +
                           ": taken by container " + on_node->id());
    }
  }
  RETURN_IF_ERROR(core.records.Save(container));
  claim.Keep();
  if (on_node.has_value()) on_node->Keep();
  core.names.Release(old, id.str());
  core.names.Release(old_on_node, id.str());
  core.Publish(Event::Type::kContainerRenamed, container, name);
  const SandboxStatus sandbox =
      core.inventory.FindSandbox(SandboxId(container.sandbox_id()));
  if (sandbox) core.network_names.Update(sandbox->config());
  return OkStatus();
}

Status ContainerManager::SetDoorNotes(const Context& ctx, const ContainerId& id,
                                      const std::string& notes) {
  Core& core = world_.core();
  ASSIGN_OR_RETURN(HeldContainer held, core.records.Hold(ctx, id, "annotate"));
  held.record().mutable_config()->set_door_notes(notes);
  return core.records.Save(held.record());
}

}  // namespace berth::sandbox
