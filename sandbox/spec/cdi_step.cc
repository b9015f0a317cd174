// Source: container-device-interface, pkg/cdi/container-edits.go, whose rules
// containerd and CRI-O follow.
#include "sandbox/spec/cdi_step.h"

#include <sys/types.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "sandbox/spec/devices.h"
#include "sandbox/spec/mounts.h"

namespace berth::sandbox {
namespace {

// Of several with one key, the last, where it is.
template <typename T>
void KeepLast(std::vector<T>& list, std::string T::*key) {
  std::unordered_map<std::string, size_t> last;
  for (size_t i = 0; i < list.size(); ++i) last[list[i].*key] = i;
  size_t index = 0;
  std::erase_if(list,
                [&](const T& item) { return last.at(item.*key) != index++; });
}

void AddNodes(const std::vector<CdiEdits>& all, oci::Spec& spec) {
  const oci::User& user = spec.process->user;
  if (!spec.linux.resources) spec.linux.resources.emplace();
  for (const CdiEdits& edits : all) {
    for (const CdiNode& cdi : edits.nodes) {
      oci::DeviceNode node = cdi.node;
      if (!node.uid && user.uid != 0) node.uid = user.uid;
      if (!node.gid && user.gid != 0) node.gid = user.gid;
      if (!cdi.access.empty() && (node.type == 'b' || node.type == 'c')) {
        oci::DeviceRule rule;
        rule.allow = true;
        rule.type = node.type;
        rule.major = node.major;
        rule.minor = node.minor;
        rule.access = cdi.access;
        spec.linux.resources->devices.push_back(std::move(rule));
      }
      spec.linux.devices.push_back(std::move(node));
    }
  }
  KeepLast(spec.linux.devices, &oci::DeviceNode::path);
}

// Of several nodes with one path the last counts.
std::map<std::string, std::string> Elsewhere(const std::vector<CdiEdits>& all) {
  std::map<std::string, std::string> elsewhere;
  for (const CdiEdits& edits : all) {
    for (const CdiNode& cdi : edits.nodes) {
      elsewhere.erase(cdi.node.path);
      if (cdi.host_path != cdi.node.path) {
        elsewhere[cdi.node.path] = cdi.host_path;
      }
    }
  }
  return elsewhere;
}

bool IsMapped(const oci::MountSpec& mount) {
  return std::any_of(mount.options.begin(), mount.options.end(),
                     [](const std::string& option) {
                       return option == "idmap" || option == "ridmap";
                     });
}

void AddMounts(const std::vector<CdiEdits>& all, oci::Spec& spec) {
  const bool mapped = spec.linux.Find(oci::NamespaceType::kUser) != nullptr;
  std::vector<oci::MountSpec> mounts;
  for (const CdiEdits& edits : all) {
    for (const oci::MountSpec& mount : edits.mounts) {
      mounts.push_back(mount);
      if (mapped && mount.type == "bind" && !IsMapped(mount)) {
        mounts.back().options.push_back("idmap");
      }
    }
  }
  KeepLast(mounts, &oci::MountSpec::destination);
  spec.mounts = MergeMounts(std::move(spec.mounts), mounts);
}

void AddHooks(const oci::Hooks& hooks, oci::Hooks& to) {
  for (auto list : {&oci::Hooks::prestart, &oci::Hooks::create_runtime,
                    &oci::Hooks::create_container, &oci::Hooks::start_container,
                    &oci::Hooks::poststart, &oci::Hooks::poststop}) {
    (to.*list).insert((to.*list).end(), (hooks.*list).begin(),
                      (hooks.*list).end());
  }
}

void AddGroups(const std::vector<CdiEdits>& all, oci::User& user) {
  std::unordered_set<gid_t> known(user.additional_gids.begin(),
                                  user.additional_gids.end());
  for (const CdiEdits& edits : all) {
    for (const gid_t gid : edits.groups) {
      if (gid == 0 || !known.insert(gid).second) continue;
      user.additional_gids.push_back(gid);
    }
  }
}

}  // namespace

Status CdiStep(const SpecInputs& in, oci::Spec& spec) {
  if (in.cdi.empty()) return OkStatus();
  std::vector<std::string> env;
  for (const CdiEdits& edits : in.cdi) {
    if (edits.intel_rdt.has_value()) {
      if (spec.linux.intel_rdt.has_value()) {
        return InvalidArgument("CDI devices: intelRdt of more than one");
      }
      spec.linux.intel_rdt = edits.intel_rdt;
    }
    for (const auto& [on_host, name] : edits.net_devices) {
      spec.linux.net_devices[on_host] = name;
    }
    env.insert(env.end(), edits.env.begin(), edits.env.end());
    AddHooks(edits.hooks, spec.hooks);
  }
  spec.process->env = MergeEnv(spec.process->env, env);
  AddNodes(in.cdi, spec);
  AddMounts(in.cdi, spec);
  BindElsewhere(Elsewhere(in.cdi), spec);
  AddGroups(in.cdi, spec.process->user);
  return OkStatus();
}

}  // namespace berth::sandbox
