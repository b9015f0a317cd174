#include "sandbox/inventory.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"

namespace berth::sandbox {
namespace {

using Labels = std::map<std::string, std::string>;

template <typename Map>
bool HasLabels(const Map& have, const Labels& want) {
  return std::all_of(want.begin(), want.end(), [&](const auto& pair) {
    const auto it = have.find(pair.first);
    return it != have.end() && it->second == pair.second;
  });
}

// A pod is invisible until it is READY for the first time; what went wrong on
// the way and could not be cleaned up is shown, so that it can be stopped.
bool Hidden(const SandboxRecord& sandbox) {
  return sandbox.config().kind() == state::v1::SANDBOX_KIND_POD &&
         (sandbox.phase() == state::v1::SANDBOX_PHASE_CREATED ||
          sandbox.phase() == state::v1::SANDBOX_PHASE_STARTING);
}

bool Hidden(const ContainerRecord& container) {
  return container.phase() == state::v1::CONTAINER_PHASE_CREATING;
}

template <typename Status>
void SortByAge(std::vector<Status>& list) {
  std::sort(list.begin(), list.end(), [](const Status& a, const Status& b) {
    return std::pair(a->created_at(), a->id()) <
           std::pair(b->created_at(), b->id());
  });
}

// The one object whose id begins so.
template <typename Status, typename Map, typename Visible>
StatusOr<Status> ByPrefix(const Map& map, std::string_view prefix,
                          const std::string& what, const Visible& visible) {
  Status found;
  for (auto it = map.lower_bound(prefix);
       it != map.end() && StartsWith(it->first, prefix) && !prefix.empty();
       ++it) {
    if (!visible(*it->second)) continue;
    if (it->first == prefix) return it->second;
    if (found) {
      return InvalidArgument("find " + what + " " + Quoted(prefix) +
                             ": more than one id begins so");
    }
    found = it->second;
  }
  if (found) return found;
  return NotFound("find " + what + " " + Quoted(prefix) + ": no such " + what);
}

}  // namespace

StatusOr<SandboxStatus> Inventory::Sandbox(
    std::string_view id_or_prefix, std::optional<SandboxKind> kind) const {
  MutexLock lock(mutex_);
  return ByPrefix<SandboxStatus>(
      sandboxes_, id_or_prefix, "sandbox", [&](const SandboxRecord& sandbox) {
        return !Hidden(sandbox) && (!kind || sandbox.config().kind() == *kind);
      });
}

StatusOr<ContainerStatus> Inventory::Container(
    std::string_view id_or_prefix, std::optional<SandboxKind> kind) const {
  MutexLock lock(mutex_);
  return ByPrefix<ContainerStatus>(
      containers_, id_or_prefix, "container",
      [&](const ContainerRecord& container) NO_THREAD_SAFETY_ANALYSIS {
        return !Hidden(container) && (!kind || IsOf(container, *kind));
      });
}

bool Inventory::IsOf(const ContainerRecord& container, SandboxKind kind) const {
  const auto it = sandboxes_.find(container.sandbox_id());
  return it != sandboxes_.end() && it->second->config().kind() == kind;
}

std::vector<SandboxStatus> Inventory::Sandboxes(
    const SandboxFilter& filter) const {
  std::vector<SandboxStatus> all = AllSandboxes();
  std::erase_if(all, [&](const SandboxStatus& status) {
    const SandboxRecord& sandbox = *status;
    const bool ready = sandbox.phase() == state::v1::SANDBOX_PHASE_READY;
    return Hidden(sandbox) || !StartsWith(sandbox.id(), filter.id_or_prefix) ||
           (filter.kind && *filter.kind != sandbox.config().kind()) ||
           (filter.ready && *filter.ready != ready) ||
           !HasLabels(sandbox.config().labels(), filter.labels);
  });
  SortByAge(all);
  return all;
}

std::vector<ContainerStatus> Inventory::Containers(
    const ContainerFilter& filter) const {
  std::vector<ContainerStatus> found;
  {
    MutexLock lock(mutex_);
    const auto matches =
        [&](const ContainerRecord& container) NO_THREAD_SAFETY_ANALYSIS {
          if (Hidden(container)) return false;
          if (!StartsWith(container.id(), filter.id_or_prefix)) return false;
          if (!StartsWith(container.sandbox_id(),
                          filter.sandbox_id_or_prefix)) {
            return false;
          }
          if (!filter.phases.empty() &&
              std::find(filter.phases.begin(), filter.phases.end(),
                        container.phase()) == filter.phases.end()) {
            return false;
          }
          if (filter.kind && !IsOf(container, *filter.kind)) return false;
          return HasLabels(container.config().labels(), filter.labels);
        };
    for (const auto& [id, container] : containers_) {
      if (matches(*container)) found.push_back(container);
    }
  }
  SortByAge(found);
  return found;
}

SandboxStatus Inventory::FindSandbox(const SandboxId& id) const {
  MutexLock lock(mutex_);
  const auto it = sandboxes_.find(id.str());
  return it == sandboxes_.end() ? nullptr : it->second;
}

ContainerStatus Inventory::FindContainer(const ContainerId& id) const {
  MutexLock lock(mutex_);
  const auto it = containers_.find(id.str());
  return it == containers_.end() ? nullptr : it->second;
}

std::vector<SandboxStatus> Inventory::AllSandboxes() const {
  MutexLock lock(mutex_);
  std::vector<SandboxStatus> all;
  all.reserve(sandboxes_.size());
  for (const auto& [id, sandbox] : sandboxes_) all.push_back(sandbox);
  return all;
}

std::vector<ContainerStatus> Inventory::AllContainers() const {
  MutexLock lock(mutex_);
  std::vector<ContainerStatus> all;
  all.reserve(containers_.size());
  for (const auto& [id, container] : containers_) all.push_back(container);
  return all;
}

std::vector<ContainerStatus> Inventory::ContainersOf(
    const SandboxId& id) const {
  std::vector<ContainerStatus> found;
  {
    MutexLock lock(mutex_);
    for (const auto& [key, container] : containers_) {
      if (container->sandbox_id() == id.str()) found.push_back(container);
    }
  }
  SortByAge(found);
  return found;
}

void Inventory::Put(SandboxStatus sandbox) {
  MutexLock lock(mutex_);
  sandboxes_[sandbox->id()] = std::move(sandbox);
}

void Inventory::Put(ContainerStatus container) {
  MutexLock lock(mutex_);
  containers_[container->id()] = std::move(container);
}

void Inventory::Erase(const SandboxId& id) {
  MutexLock lock(mutex_);
  sandboxes_.erase(id.str());
}

void Inventory::Erase(const ContainerId& id) {
  MutexLock lock(mutex_);
  containers_.erase(id.str());
}

}  // namespace berth::sandbox
