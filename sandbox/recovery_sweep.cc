#include "sandbox/recovery_sweep.h"

#include <dirent.h>
#include <glog/logging.h>
#include <signal.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/store/metadata_store.h"
#include "base/strings.h"
#include "base/sys/socket.h"
#include "cni/network.h"
#include "oci/cgroup/cgroup.h"
#include "oci/cgroup/cgroup_host.h"
#include "oci/spec/parse.h"
#include "oci/spec/spec.h"
#include "sandbox/container_end.h"
#include "sandbox/record/files.h"
#include "sandbox/resource/cgroup_parent.h"
#include "sandbox/sandbox_end.h"

namespace berth::sandbox {
namespace {

constexpr size_t kIdLength = 64;
// Of the short names that ShimProcess gives when a path would be too long.
constexpr size_t kShortIdLength = 24;
constexpr uint64_t kMaxBundle = 16 << 20;

std::vector<std::string> IdsIn(const std::string& directory,
                               size_t length = kIdLength) {
  std::vector<std::string> ids;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(directory.c_str()),
                                                closedir);
  if (!dir) return ids;
  while (const dirent* entry = readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name.size() == length &&
        name.find_first_not_of("0123456789abcdef") == std::string::npos) {
      ids.push_back(name);
    }
  }
  return ids;
}

// Ids, or their beginnings.
std::vector<std::string> LivingShims(const HostPaths& paths) {
  std::vector<std::string> living;
  for (const std::string& id : IdsIn(paths.state + "/sandboxes")) {
    if (SomebodyListens(paths.SandboxState(id) + "/shim/shim.sock")) {
      living.push_back(id);
    }
  }
  const std::string shims = paths.state + "/shims";
  for (const std::string& id : IdsIn(shims, kShortIdLength)) {
    if (SomebodyListens(shims + "/" + id + "/shim.sock")) living.push_back(id);
  }
  return living;
}

// Those that were set aside are ours as well.
std::set<std::string> RecordedSandboxes(const Core& core) {
  std::set<std::string> ids;
  for (const SandboxStatus& sandbox : core.inventory.AllSandboxes()) {
    ids.insert(sandbox->id());
  }
  const StatusOr<std::vector<std::string>> aside = core.parts.store.SetAside();
  LogFailure("list records that were set aside", aside.status());
  if (!aside.ok()) return ids;
  const std::string table = "sandboxes/";
  for (const std::string& name : *aside) {
    if (StartsWith(name, table)) ids.insert(name.substr(table.size()));
  }
  return ids;
}

bool Known(const Core& core, const SandboxId& id) {
  return core.inventory.FindSandbox(id) != nullptr;
}
bool Known(const Core& core, const ContainerId& id) {
  return core.inventory.FindContainer(id) != nullptr;
}

// Every resource releases by id what it can.
Status SweepSandbox(const Context& ctx, Core& core, const SandboxId& id) {
  if (Known(core, id)) return OkStatus();
  SandboxRecord stranger;
  stranger.set_id(id.str());
  for (const auto& resource : core.resources) {
    stranger.add_begun(resource->name());
  }
  RETURN_IF_ERROR(ReleaseAll(ctx, core, stranger));
  DetachLater(core, id);
  return OkStatus();
}

// Its bundle says where its processes are. Without one they are where those go
// whose sandbox names no parent: not by what is in that parent, as another
// daemon may share it.
StatusOr<std::string> CgroupOf(const Core& core, const ContainerId& id) {
  state::v1::CgroupParentState parent;
  parent.set_systemd(core.settings.systemd_cgroup);
  parent.set_path(core.settings.cgroup_parent);
  parent.set_pod_path(core.settings.cgroup_parent);
  std::string path = ContainerCgroup(parent, id.str());
  const StatusOr<std::string> text = ReadSmallFile(
      core.paths.ContainerState(id.str()) + "/config.json", kMaxBundle);
  if (text.ok()) {
    const StatusOr<oci::Spec> spec = oci::ParseSpec(*text);
    if (spec.ok() && !spec->linux.cgroups_path.empty()) {
      path = spec->linux.cgroups_path;
    }
  }
  return oci::CgroupPath(path, id.str());
}

Status SweepContainer(Core& core, const ContainerId& id) {
  if (Known(core, id)) return OkStatus();
  ASSIGN_OR_RETURN(const std::string path, CgroupOf(core, id));
  const auto cgroup = oci::OpenCgroup(core.cgroups, path);
  if (cgroup.ok()) {  // else the machine has none
    RETURN_IF_ERROR((*cgroup)->Signal(SIGKILL));
    RETURN_IF_ERROR((*cgroup)->Remove());
  }
  ContainerRecord stranger;
  stranger.set_id(id.str());
  RETURN_IF_ERROR(CleanState(core, stranger));
  RETURN_IF_ERROR(RemoveTree(core.paths.OciDirectory() + "/" + id.str()));
  // Its key is its id.
  RETURN_IF_ERROR(
      core.parts.images.Release(Context::Background(id.str()), id.str()));
  return RemoveTree(core.paths.ContainerRoot(id.str()));
}

}  // namespace

Status CheckOwner(const Core& core) {
  const std::vector<std::string> living = LivingShims(core.paths);
  if (living.empty()) return OkStatus();
  const std::set<std::string> recorded = RecordedSandboxes(core);
  for (const std::string& id : living) {
    const auto at = recorded.lower_bound(id);
    if (at != recorded.end() && StartsWith(*at, id)) return OkStatus();
  }
  return FailedPrecondition(
      "state directory " + Quoted(core.paths.state) + ": " +
      std::to_string(living.size()) +
      " shims live there that no record in root directory " +
      Quoted(core.paths.root) +
      " knows: start with the root directory that they belong to, or end them");
}

Status Sweep(Core& core, RecoveryQueue& queue) {
  std::set<std::string> sandboxes;
  std::set<std::string> containers;
  for (const std::string& base : {core.paths.state, core.paths.root}) {
    for (const std::string& id : IdsIn(base + "/sandboxes")) {
      sandboxes.insert(id);
    }
    for (const std::string& id : IdsIn(base + "/containers")) {
      containers.insert(id);
    }
  }
  for (const std::string& id : IdsIn(core.paths.OciDirectory())) {
    containers.insert(id);
  }
  queue.Add("network garbage", [&core](const Context& ctx) {
    const Status collected = core.parts.network.CollectGarbage(ctx);
    // It is done again at the next start.
    LOG_IF(WARNING, !collected.ok()) << Message(collected);
    return OkStatus();
  });
  const StatusOr<std::set<std::string>> attached =
      core.parts.network.Attached();
  if (attached.ok()) sandboxes.insert(attached->begin(), attached->end());
  for (const std::string& text : sandboxes) {
    const SandboxId id(text);
    if (Known(core, id)) continue;
    queue.Add("sweep sandbox " + text, [&core, id](const Context& ctx) {
      return SweepSandbox(ctx, core, id);
    });
  }
  for (const std::string& text : containers) {
    const ContainerId id(text);
    if (Known(core, id)) continue;
    queue.Add("sweep container " + text,
              [&core, id](const Context&) { return SweepContainer(core, id); });
  }
  return attached.status();
}

}  // namespace berth::sandbox
