#include "cri/info/verbose_info.h"

#include <utility>

#include "base/json.h"
#include "base/sys/file.h"
#include "cri/convert.h"
#include "cri/info/go_json.h"

namespace berth::cri {
namespace {

using state::v1::NetworkState;
using state::v1::SandboxRecord;

constexpr uint64_t kMaxSpec = 64 << 20;

// A member for each interface, as the go-cni library writes it.
Json CniResult(const SandboxRecord& sandbox) {
  std::vector<const NetworkState*> networks = {&sandbox.network()};
  for (const NetworkState& more : sandbox.more_networks()) {
    networks.push_back(&more);
  }
  Json interfaces = Json::object();
  for (const NetworkState* const network : networks) {
    if (!network->attached()) continue;
    Json ips = Json::array();
    for (const state::v1::PodIp& ip : network->ips()) {
      ips.push_back({{"IP", ip.address()}, {"Gateway", ip.gateway()}});
    }
    interfaces[network->interface()] = {
        {"IPConfigs", std::move(ips)},
        {"Mac", network->mac()},
        {"Sandbox", sandbox.namespaces().network()}};
  }
  return {{"Interfaces", std::move(interfaces)}};
}

// What of a specification there is of a sandbox, which is no container here:
// the namespaces that its containers join.
Json PodSpec(const SandboxRecord& sandbox) {
  const state::v1::NamespacesState& ours = sandbox.namespaces();
  Json namespaces = Json::array();
  for (const auto& [type, path] :
       {std::pair("pid", ours.pid()), std::pair("ipc", ours.ipc()),
        std::pair("uts", ours.uts()), std::pair("network", ours.network()),
        std::pair("user", ours.user())}) {
    if (path.empty()) continue;
    namespaces.push_back({{"type", type}, {"path", path}});
  }
  return {{"hostname", sandbox.hostname()},
          {"linux",
           {{"cgroupsPath", sandbox.cgroup().pod_path()},
            {"namespaces", std::move(namespaces)}}}};
}

int PidIn(const SandboxRecord& sandbox,
          const std::vector<sandbox::ContainerStatus>& containers) {
  if (sandbox.pod_pid() != 0) return sandbox.pod_pid();
  for (const sandbox::ContainerStatus& container : containers) {
    const bool runs = ToState(container->phase()) == v1::CONTAINER_RUNNING;
    if (runs && container->pid() != 0) return container->pid();
  }
  return 0;
}

// The bundle's config.json; null before the first start.
Json RuntimeSpec(const state::v1::ContainerRecord& container) {
  if (container.bundle().empty()) return nullptr;
  const auto text = ReadFile(container.bundle() + "/config.json", kMaxSpec);
  if (!text.ok()) return nullptr;
  StatusOr<Json> spec = ParseJson(*text, "config.json");
  return spec.ok() ? *std::move(spec) : Json(nullptr);
}

// One network, as the go-cni library writes its configuration.
Json NetworkConfig(const std::string& list) {
  StatusOr<Json> parsed = ParseJson(list, "network list", kDeepJson);
  if (!parsed.ok()) return nullptr;
  Json plugins = Json::array();
  Json& theirs = (*parsed)["plugins"];
  if (theirs.is_array()) {
    for (const Json& plugin : theirs.elements()) {
      plugins.push_back({{"Network", plugin}, {"Source", DumpJson(plugin)}});
    }
  }
  return {{"IFName", "eth0"},
          {"Config",
           {{"Name", parsed->Text("name")},
            {"CNIVersion", parsed->Text("cniVersion")},
            {"Plugins", std::move(plugins)},
            {"Source", list}}}};
}

}  // namespace

std::string NetworkInfo(const std::string& config_folder,
                        const std::vector<std::string>& plugin_folders,
                        const std::string& list) {
  Json networks = Json::array();
  if (!list.empty()) networks.push_back(NetworkConfig(list));
  return DumpJson(Json{{"PluginConfDir", config_folder},
                       {"PluginDirs", Json(plugin_folders)},
                       {"Prefix", "eth"},
                       {"Networks", std::move(networks)}});
}

std::string PodInfo(const SandboxRecord& sandbox,
                    const std::vector<sandbox::ContainerStatus>& containers) {
  const bool ready = sandbox.phase() == state::v1::SANDBOX_PHASE_READY;
  Json info = {{"pid", PidIn(sandbox, containers)},
               {"processStatus", ready ? "running" : "deleted"},
               {"netNamespaceClosed", !ready},
               {"netNamespace", sandbox.namespaces().network()},
               {"runtimeHandler", sandbox.config().runtime_handler()},
               {"runtimeType", sandbox.shim().runtime()},
               {"config", ToGoJson(ToPodConfig(sandbox.config()))},
               {"runtimeSpec", PodSpec(sandbox)}};
  if (sandbox.network().attached()) info["cniResult"] = CniResult(sandbox);
  return DumpJson(info);
}

std::string ContainerInfo(const state::v1::ContainerRecord& container) {
  return DumpJson(Json{
      {"sandboxID", container.sandbox_id()},
      {"pid", container.pid()},
      {"removing", container.phase() == state::v1::CONTAINER_PHASE_REMOVING},
      {"snapshotKey", container.snapshot_key()},
      {"privileged", container.config().security().privileged()},
      {"config", ToGoJson(ToContainerConfig(container.config()))},
      {"runtimeSpec", RuntimeSpec(container)}});
}

}  // namespace berth::cri
