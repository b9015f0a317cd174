#include "sandbox/world.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "base/sys/id_mapped.h"
#include "sandbox/apparmor/default_profile.h"
#include "sandbox/container_end.h"
#include "sandbox/core.h"
#include "sandbox/record/files.h"
#include "sandbox/recovery.h"
#include "sandbox/resource/cgroup_parent.h"
#include "sandbox/resource/namespaces.h"
#include "sandbox/resource/pod_network.h"
#include "sandbox/resource/state_directory.h"

namespace berth::sandbox {
namespace {

HostPaths PathsOf(const Settings& settings) {
  HostPaths paths;
  paths.root = settings.root;
  paths.state = settings.state;
  return paths;
}

std::string ReadBootId(const HostPaths& paths) {
  const StatusOr<std::string> text =
      ReadSmallFile(paths.proc + "/sys/kernel/random/boot_id", 256);
  return text.ok() ? std::string(Trim(*text)) : "unknown";
}

// A machine without cgroups is found out when the first container starts.
oci::CgroupHost DetectCgroups(const HostPaths& paths) {
  StatusOr<oci::CgroupHost> host =
      oci::CgroupHost::Detect(paths.proc + "/self");
  return host.ok() ? *std::move(host) : oci::CgroupHost();
}

HostFacts DetectHost(const HostPaths& paths, const Settings& settings,
                     const oci::CgroupHost& cgroups) {
  HostFacts facts = HostFacts::Detect(paths.proc, paths.sys, cgroups);
  facts.user_namespaces = ProbeMappedOverlay(paths.root);
  facts.apparmor = HasAppArmor(paths);
  facts.apparmor_default = settings.apparmor_default;
  return facts;
}

}  // namespace

World::Core::Core(Settings all_settings, Parts all_parts)
    : settings(std::move(all_settings)),
      parts(all_parts),
      paths(PathsOf(settings)),
      boot_id(ReadBootId(paths)),
      run_id(RandomId().substr(0, 16)),
      cgroups(DetectCgroups(paths)),
      host(DetectHost(paths, settings, cgroups)),
      records(parts.store, inventory),
      shims([this](const std::string& id,
                   const std::shared_ptr<shim::Shim>& shim) {
        exits.Watch(SandboxId(id), shim);
      }),
      network_names(paths, inventory),
      kills(
          settings.shim_silence / 2,
          {[this](const ContainerRun& run) {
             exits.Run([this, run] { OnGraceOver(*this, run); });
           },
           [this](const ContainerRun& run, int rounds) {
             exits.Run([this, run, rounds] { OnSilence(*this, run, rounds); });
           }}),
      exits(
          [this](const ContainerRun& run,
                 const StatusOr<shim::ExitStatus>& exit) {
            OnExit(*this, run, exit);
          },
          [this](const SandboxId& id, const std::weak_ptr<shim::Shim>& which,
                 const Loss& loss) { LoseSandbox(*this, id, which, loss); }) {
  records.WhenSavedLate([this](const ContainerId& id) {
    exits.Run([this, id] { FinishExit(*this, id); });
  });
  resources.push_back(std::make_unique<StateDirectory>(paths));
  resources.push_back(std::make_unique<CgroupParent>(
      cgroups, settings.cgroup_parent, settings.systemd_cgroup));
  resources.push_back(std::make_unique<Namespaces>(
      paths, inventory, settings.enable_unprivileged_ports,
      settings.enable_unprivileged_icmp));
  resources.push_back(std::make_unique<PodNetwork>(paths, parts.network));
  resources.push_back(
      std::make_unique<ShimProcess>(paths, settings, parts.shims, shims));
}

Status World::Core::StartThreads() {
  RETURN_IF_ERROR(exits.Start());
  return kills.Start();
}

SandboxResource* World::Core::FindResource(const std::string& name) const {
  for (const auto& resource : resources) {
    if (resource->name() == name) return resource.get();
  }
  return nullptr;
}

// What events show of a sandbox. `last` is the record of one that has just been
// forgotten.
void World::Core::Show(const std::string& id, const SandboxRecord* last,
                       Event& event) const {
  event.sandbox = inventory.FindSandbox(SandboxId(id));
  if (!event.sandbox && last != nullptr) {
    event.sandbox = std::make_shared<const SandboxRecord>(*last);
  }
  ContainerFilter filter;
  filter.sandbox_id_or_prefix = id;
  event.containers = inventory.Containers(filter);
}

void World::Core::Publish(Event::Type type, const SandboxRecord& sandbox) {
  Event event;
  event.type = type;
  event.sandbox_id = sandbox.id();
  event.of_pod = sandbox.config().kind() == state::v1::SANDBOX_KIND_POD;
  event.detail = sandbox.reason();
  event.time = std::max(
      {Now(), sandbox.created_at(), sandbox.ready_at(), sandbox.stopped_at()});
  Show(sandbox.id(), &sandbox, event);
  events.Publish(event);
}

void World::Core::Publish(Event::Type type, const ContainerRecord& container,
                          const std::string& detail) {
  Event event;
  event.type = type;
  event.sandbox_id = container.sandbox_id();
  event.container_id = container.id();
  // Probes run commands all the time, and nobody asks what else there was.
  const bool command =
      type == Event::Type::kExecStarted || type == Event::Type::kExecExited;
  if (command) {
    event.sandbox = inventory.FindSandbox(SandboxId(container.sandbox_id()));
  } else {
    Show(container.sandbox_id(), nullptr, event);
  }
  event.of_pod = !event.sandbox ||
                 event.sandbox->config().kind() == state::v1::SANDBOX_KIND_POD;
  event.exit_code = container.exit_code();
  event.detail = detail;
  event.time = std::max({Now(), container.created_at(), container.started_at(),
                         container.finished_at()});
  events.Publish(event);
}

World::World(Settings settings, Parts parts)
    : core_(std::make_unique<Core>(std::move(settings), parts)),
      recovery_(std::make_unique<Recovery>(*core_)) {}

World::~World() {
  recovery_->Stop();
  core_->records.WhenSavedLate(nullptr);
  core_->releases.Stop();
  core_->kills.Stop();
  core_->exits.Stop();
}

Status World::Recover(const Context& ctx) {
  RETURN_IF_ERROR(core_->StartThreads());
  return recovery_->Begin(ctx);
}

void World::FinishRecovery() { recovery_->Finish(); }

Status World::AwaitRecovery(const Context& ctx) {
  return recovery_->AwaitDone(ctx);
}

const Settings& World::settings() const { return core_->settings; }
const Inventory& World::inventory() const { return core_->inventory; }
EventBus& World::events() { return core_->events; }
size_t World::unsaved() const { return core_->records.unsaved(); }
NameIndex::Claim World::ClaimName(const std::string& name) {
  return core_->names.Take(StandaloneName(name), "");
}

}  // namespace berth::sandbox
