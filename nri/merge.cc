#include "nri/merge.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/strings.h"
#include "nri/merge_resources.h"

namespace berth::nri {
namespace {

using google::protobuf::Map;
using google::protobuf::RepeatedPtrField;

// Takes the entries out of a list whose `key` is among `names`.
template <typename T, typename Key>
void EraseNamed(RepeatedPtrField<T>& list, const std::set<std::string>& names,
                Key key) {
  list.erase(
      std::remove_if(list.begin(), list.end(),
                     [&](const T& it) { return names.count(key(it)) > 0; }),
      list.end());
}

// The container's update in `updates`; an empty one is added if it has none.
api::ContainerUpdate& UpdateOf(std::vector<api::ContainerUpdate>& updates,
                               const std::string& id) {
  for (api::ContainerUpdate& update : updates) {
    if (update.container_id() == id) return update;
  }
  updates.emplace_back();
  updates.back().set_container_id(id);
  updates.back().set_ignore_failure(true);
  return updates.back();
}

// One that must not fail makes it so for all that change the same container.
Status AddUpdate(Owners& owners, const std::string& plugin,
                 const api::ContainerUpdate& from,
                 std::vector<api::ContainerUpdate>& updates) {
  if (from.container_id().empty()) {
    return InvalidArgument("plugin " + Quoted(plugin) +
                           ": an update of no container");
  }
  api::ContainerUpdate& to = UpdateOf(updates, from.container_id());
  if (!from.ignore_failure()) to.set_ignore_failure(false);
  const Status merged = MergeResources(
      {owners, from.container_id(), plugin}, from.linux().resources(),
      *to.mutable_linux()->mutable_resources());
  return from.ignore_failure() ? OkStatus() : merged;
}

const std::string& PathOf(const api::LinuxDevice& device) {
  return device.path();
}
const std::string& DestinationOf(const api::Mount& mount) {
  return mount.destination();
}

// A map whose names may be removals: claims and clears as they say, changes
// what the next plugin is shown, and adds them to the whole.
template <typename ClaimIt, typename ClearIt>
Status MergeMap(const Map<std::string, std::string>& from, ClaimIt claim,
                ClearIt clear, Map<std::string, std::string>& shown,
                Map<std::string, std::string>& whole) {
  for (const auto& [name, value] : from) {
    if (!IsRemoval(name)) continue;
    clear(NameIn(name));
    shown.erase(NameIn(name));
    whole.erase(NameIn(name));
    whole[name] = "";
  }
  for (const auto& [name, value] : from) {
    if (IsRemoval(name)) continue;
    RETURN_IF_ERROR(claim(name));
    shown[name] = value;
    whole[name] = value;
  }
  return OkStatus();
}

}  // namespace

Status Merge::Add(const std::string& plugin,
                  api::CreateContainerResponse answer) {
  RETURN_IF_ERROR(Adjust(plugin, answer.adjust()));
  for (const api::ContainerUpdate& update : answer.update()) {
    if (update.container_id() == shown_.id()) {
      return InvalidArgument("plugin " + Quoted(plugin) +
                             ": an update of the container that is being "
                             "created");
    }
    RETURN_IF_ERROR(AddUpdate(owners_, plugin, update, others_.updates));
  }
  others_.evictions.insert(others_.evictions.end(), answer.evict().begin(),
                           answer.evict().end());
  return OkStatus();
}

Status Merge::Adjust(const std::string& plugin,
                     const api::ContainerAdjustment& from) {
  RETURN_IF_ERROR(AdjustAnnotations(plugin, from));
  RETURN_IF_ERROR(AdjustMounts(plugin, from));
  RETURN_IF_ERROR(AdjustEnv(plugin, from));
  RETURN_IF_ERROR(AdjustArgs(plugin, from));
  AdjustHooks(plugin, from);
  RETURN_IF_ERROR(AdjustLists(plugin, from));
  return from.has_linux() ? AdjustLinux(plugin, from.linux()) : OkStatus();
}

Status Merge::AdjustAnnotations(const std::string& plugin,
                                const api::ContainerAdjustment& from) {
  return MergeMap(
      from.annotations(),
      [&](const std::string& n) { return Claim(plugin, api::Annotations, n); },
      [&](const std::string& n) { Clear(api::Annotations, n); },
      *shown_.mutable_annotations(), *adjustment_.mutable_annotations());
}

Status Merge::AdjustMounts(const std::string& plugin,
                           const api::ContainerAdjustment& from) {
  std::set<std::string> touched;
  for (const api::Mount& mount : from.mounts()) {
    if (IsRemoval(mount.destination())) {
      Clear(api::Mounts, NameIn(mount.destination()));
    }
    touched.insert(NameIn(mount.destination()));
  }
  for (const api::Mount& mount : from.mounts()) {
    if (IsRemoval(mount.destination())) continue;
    RETURN_IF_ERROR(Claim(plugin, api::Mounts, mount.destination()));
  }
  EraseNamed(*shown_.mutable_mounts(), touched, DestinationOf);
  EraseNamed(*adjustment_.mutable_mounts(), touched, DestinationOf);
  for (const api::Mount& mount : from.mounts()) {
    *adjustment_.add_mounts() = mount;
    if (!IsRemoval(mount.destination())) *shown_.add_mounts() = mount;
  }
  return OkStatus();
}

Status Merge::AdjustEnv(const std::string& plugin,
                        const api::ContainerAdjustment& from) {
  std::set<std::string> touched;
  for (const api::KeyValue& entry : from.env()) {
    if (IsRemoval(entry.key())) Clear(api::Env, NameIn(entry.key()));
    touched.insert(NameIn(entry.key()));
  }
  const auto name_in = [](const std::string& entry) {
    return entry.substr(0, entry.find('='));
  };
  EraseNamed(*shown_.mutable_env(), touched, name_in);
  for (const api::KeyValue& entry : from.env()) {
    *adjustment_.add_env() = entry;
    if (IsRemoval(entry.key())) continue;
    RETURN_IF_ERROR(Claim(plugin, api::Env, entry.key()));
    *shown_.add_env() = entry.key() + "=" + entry.value();
  }
  return OkStatus();
}

// An empty first word takes away what another plugin has set.
Status Merge::AdjustArgs(const std::string& plugin,
                         const api::ContainerAdjustment& from) {
  if (from.args().empty()) return OkStatus();
  auto args = from.args();
  if (args[0].empty()) {
    Clear(api::Args);
    args.erase(args.begin());
  }
  RETURN_IF_ERROR(Claim(plugin, api::Args));
  *shown_.mutable_args() = args;
  *adjustment_.mutable_args() = args;
  return OkStatus();
}

void Merge::AdjustHooks(const std::string& plugin,
                        const api::ContainerAdjustment& from) {
  if (from.hooks().ByteSizeLong() == 0) return;
  owners_.Join(shown_.id(), api::OciHooks, plugin);
  shown_.mutable_hooks()->MergeFrom(from.hooks());
  adjustment_.mutable_hooks()->MergeFrom(from.hooks());
}

// Rlimits and CDI devices: no removals, each name once.
Status Merge::AdjustLists(const std::string& plugin,
                          const api::ContainerAdjustment& from) {
  std::set<std::string> touched;
  for (const api::POSIXRlimit& limit : from.rlimits()) {
    RETURN_IF_ERROR(Claim(plugin, api::Rlimits, limit.type()));
    touched.insert(limit.type());
    *adjustment_.add_rlimits() = limit;
  }
  EraseNamed(*shown_.mutable_rlimits(), touched,
             [](const api::POSIXRlimit& limit) { return limit.type(); });
  shown_.mutable_rlimits()->MergeFrom(from.rlimits());
  for (const api::CDIDevice& device : from.cdi_devices()) {
    RETURN_IF_ERROR(Claim(plugin, api::CdiDevices, device.name()));
    *adjustment_.add_cdi_devices() = device;
    *shown_.add_cdi_devices() = device;
  }
  return OkStatus();
}

Status Merge::AdjustLinux(const std::string& plugin,
                          const api::LinuxContainerAdjustment& from) {
  RETURN_IF_ERROR(AdjustDevices(plugin, from));
  if (from.has_resources()) {
    api::LinuxResources& whole =
        *adjustment_.mutable_linux()->mutable_resources();
    RETURN_IF_ERROR(MergeResources({owners_, shown_.id(), plugin},
                                   from.resources(), whole));
    OverlayResources(from.resources(),
                     *shown_.mutable_linux()->mutable_resources());
  }
  RETURN_IF_ERROR(AdjustNamespaces(plugin, from));
  RETURN_IF_ERROR(AdjustMaps(plugin, from));
  if (from.has_rdt()) RETURN_IF_ERROR(AdjustRdt(plugin, from.rdt()));
  return AdjustSingles(plugin, from);
}

Status Merge::AdjustDevices(const std::string& plugin,
                            const api::LinuxContainerAdjustment& from) {
  if (from.devices().empty()) return OkStatus();
  auto& shown = *shown_.mutable_linux()->mutable_devices();
  auto& whole = *adjustment_.mutable_linux()->mutable_devices();
  std::set<std::string> touched;
  for (const api::LinuxDevice& device : from.devices()) {
    if (IsRemoval(device.path())) Clear(api::Devices, NameIn(device.path()));
    touched.insert(NameIn(device.path()));
  }
  for (const api::LinuxDevice& device : from.devices()) {
    if (IsRemoval(device.path())) continue;
    RETURN_IF_ERROR(Claim(plugin, api::Devices, device.path()));
  }
  EraseNamed(shown, touched, PathOf);
  EraseNamed(whole, touched, PathOf);
  for (const api::LinuxDevice& device : from.devices()) {
    *whole.Add() = device;
    if (!IsRemoval(device.path())) *shown.Add() = device;
  }
  return OkStatus();
}

Status Merge::AdjustNamespaces(const std::string& plugin,
                               const api::LinuxContainerAdjustment& from) {
  if (from.namespaces().empty()) return OkStatus();
  auto& shown = *shown_.mutable_linux()->mutable_namespaces();
  for (const api::LinuxNamespace& one : from.namespaces()) {
    RETURN_IF_ERROR(Claim(plugin, api::Namespace, NameIn(one.type())));
    EraseNamed(shown, {NameIn(one.type())},
               [](const api::LinuxNamespace& it) { return it.type(); });
    if (!IsRemoval(one.type())) *shown.Add() = one;
    *adjustment_.mutable_linux()->add_namespaces() = one;
  }
  return OkStatus();
}

Status Merge::AdjustMaps(const std::string& plugin,
                         const api::LinuxContainerAdjustment& from) {
  if (!from.sysctl().empty()) {
    RETURN_IF_ERROR(MergeMap(
        from.sysctl(),
        [&](const std::string& n) { return Claim(plugin, api::Sysctl, n); },
        [&](const std::string& n) { Clear(api::Sysctl, n); },
        *shown_.mutable_linux()->mutable_sysctl(),
        *adjustment_.mutable_linux()->mutable_sysctl()));
  }
  if (from.net_devices().empty()) return OkStatus();
  auto& shown = *shown_.mutable_linux()->mutable_net_devices();
  auto& whole = *adjustment_.mutable_linux()->mutable_net_devices();
  for (const auto& [name, device] : from.net_devices()) {
    if (!IsRemoval(name)) continue;
    Clear(api::LinuxNetDevices, NameIn(name));
    shown.erase(NameIn(name));
    whole.erase(NameIn(name));
  }
  for (const auto& [name, device] : from.net_devices()) {
    if (IsRemoval(name)) continue;
    RETURN_IF_ERROR(Claim(plugin, api::LinuxNetDevices, name));
    shown[name] = device;
    whole[name] = device;
  }
  return OkStatus();
}

Status Merge::AdjustRdt(const std::string& plugin, const api::LinuxRdt& from) {
  api::LinuxRdt& whole = *adjustment_.mutable_linux()->mutable_rdt();
  if (from.remove()) {
    for (const api::Field field :
         {api::RdtClosID, api::RdtSchemata, api::RdtEnableMonitoring}) {
      Clear(field);
    }
    whole.Clear();
  }
  if (from.has_clos_id()) RETURN_IF_ERROR(Claim(plugin, api::RdtClosID));
  if (from.has_schemata()) RETURN_IF_ERROR(Claim(plugin, api::RdtSchemata));
  if (from.has_enable_monitoring()) {
    RETURN_IF_ERROR(Claim(plugin, api::RdtEnableMonitoring));
  }
  api::LinuxRdt set = from;
  set.clear_remove();
  if (set.has_schemata()) whole.clear_schemata();
  whole.MergeFrom(set);
  whole.set_remove(whole.ByteSizeLong() == 0 && from.remove());
  *shown_.mutable_linux()->mutable_rdt() = whole;
  return OkStatus();
}

Status Merge::AdjustSingles(const std::string& plugin,
                            const api::LinuxContainerAdjustment& from) {
  api::LinuxContainerAdjustment& whole = *adjustment_.mutable_linux();
  api::LinuxContainer& shown = *shown_.mutable_linux();
  if (!from.cgroups_path().empty()) {
    RETURN_IF_ERROR(Claim(plugin, api::CgroupsPath));
    whole.set_cgroups_path(from.cgroups_path());
    shown.set_cgroups_path(from.cgroups_path());
  }
  if (from.has_oom_score_adj()) {
    RETURN_IF_ERROR(Claim(plugin, api::OomScoreAdj));
    *whole.mutable_oom_score_adj() = from.oom_score_adj();
    *shown.mutable_oom_score_adj() = from.oom_score_adj();
  }
  if (from.has_io_priority()) {
    RETURN_IF_ERROR(Claim(plugin, api::IoPriority));
    *whole.mutable_io_priority() = from.io_priority();
    *shown.mutable_io_priority() = from.io_priority();
  }
  if (from.has_seccomp_policy()) {
    RETURN_IF_ERROR(Claim(plugin, api::SeccompPolicy));
    *whole.mutable_seccomp_policy() = from.seccomp_policy();
    *shown.mutable_seccomp_policy() = from.seccomp_policy();
  }
  if (from.has_scheduler()) {
    RETURN_IF_ERROR(Claim(plugin, api::LinuxSched));
    *whole.mutable_scheduler() = from.scheduler();
    *shown.mutable_scheduler() = from.scheduler();
  }
  if (from.has_memory_policy()) {
    RETURN_IF_ERROR(Claim(plugin, api::MemoryPolicy));
    *whole.mutable_memory_policy() = from.memory_policy();
  }
  return OkStatus();
}

Status ChangeMerge::Add(
    const std::string& plugin,
    const RepeatedPtrField<api::ContainerUpdate>& updates,
    const RepeatedPtrField<api::ContainerEviction>& evictions) {
  others_.evictions.insert(others_.evictions.end(), evictions.begin(),
                           evictions.end());
  for (const api::ContainerUpdate& update : updates) {
    if (update.container_id() != id_ || id_.empty()) {
      RETURN_IF_ERROR(AddUpdate(owners_, plugin, update, others_.updates));
      continue;
    }
    const Status merged = MergeResources({owners_, id_, plugin},
                                         update.linux().resources(), asked_);
    if (!update.ignore_failure()) RETURN_IF_ERROR(merged);
  }
  return OkStatus();
}

}  // namespace berth::nri
