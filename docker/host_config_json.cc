#include "docker/host_config_json.h"

#include <initializer_list>
#include <string>

#include "docker/container_json.h"
#include "sandbox/spec/security.h"

namespace berth::docker {
namespace {

using state::v1::NamespaceMode;

constexpr int64_t kSharedMemory = 64 << 20;

// Of a request that sets nothing.
Json Unset() {
  Json json = Json::object();
  for (const char* text :
       {"Cgroup", "CgroupParent", "ContainerIDFile", "CpusetCpus", "CpusetMems",
        "Isolation", "PidMode", "UTSMode", "UsernsMode", "VolumeDriver"}) {
    json[text] = "";
  }
  for (const char* flag : {"AutoRemove", "OomKillDisable", "Privileged",
                           "PublishAllPorts", "ReadonlyRootfs"}) {
    json[flag] = false;
  }
  for (const char* number :
       {"BlkioWeight", "CpuCount", "CpuPercent", "CpuPeriod", "CpuQuota",
        "CpuRealtimePeriod", "CpuRealtimeRuntime", "CpuShares",
        "IOMaximumBandwidth", "IOMaximumIOps", "Memory", "MemoryReservation",
        "MemorySwap", "NanoCpus", "OomScoreAdj"}) {
    json[number] = 0;
  }
  for (const char* list :
       {"BlkioDeviceReadBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteBps",
        "BlkioDeviceWriteIOps", "BlkioWeightDevice", "Devices", "Dns",
        "DnsOptions", "DnsSearch", "Ulimits"}) {
    json[list] = Json::array();
  }
  for (const char* null :
       {"Binds", "CapAdd", "CapDrop", "DeviceCgroupRules", "DeviceRequests",
        "ExtraHosts", "GroupAdd", "Links", "MemorySwappiness", "PidsLimit",
        "SecurityOpt", "VolumesFrom"}) {
    json[null] = nullptr;
  }
  json["ConsoleSize"] = {0, 0};
  json["PortBindings"] = Json::object();
  return json;
}

void SetLimits(const View& view, Json& host) {
  const auto& limits = view.container->config().resources();
  if (host["MemorySwap"] == 0) host["MemorySwap"] = limits.memory_swap_limit();
  if (host["MemorySwappiness"] == -1) host["MemorySwappiness"] = nullptr;
  const int64_t pids = host["PidsLimit"].AsInt().value_or(0);
  if (pids <= 0) host["PidsLimit"] = nullptr;
  if (host["ShmSize"].AsInt().value_or(0) == 0) host["ShmSize"] = kSharedMemory;
}

void SetNamespaces(const View& view, Json& host) {
  const auto& namespaces = view.container->config().security().namespaces();
  host["NetworkMode"] = NetworkModeOf(view);
  if (host.Text("IpcMode").empty()) {
    const bool node = namespaces.ipc() == state::v1::NAMESPACE_MODE_NODE;
    host["IpcMode"] = node ? "host" : "private";
  }
  if (host.Text("CgroupnsMode").empty()) {
    const NamespaceMode mode = namespaces.cgroup();
    host["CgroupnsMode"] =
        mode == state::v1::NAMESPACE_MODE_CONTAINER ? "private" : "host";
  }
}

// "/CHILD:/PARENT/ALIAS" each.
void SetLinks(const View& view, Json& host) {
  if (view.notes->links.empty()) return;
  Json links = Json::array();
  for (const Json& link : host["Links"].elements()) {
    if (!link.is_string()) continue;
    const std::string& text = *link.AsText();
    const size_t colon = text.find(':');
    links.push_back("/" + text.substr(0, colon) + ":/" + view.name() + "/" +
                    text.substr(colon + 1));
  }
  host["Links"] = std::move(links);
}

void SetPaths(const View& view, Json& host) {
  const auto& security = view.container->config().security();
  if (security.default_paths()) {
    host["MaskedPaths"] = sandbox::DefaultMaskedPaths();
    host["ReadonlyPaths"] = sandbox::DefaultReadonlyPaths();
  }
  for (const char* list : {"MaskedPaths", "ReadonlyPaths"}) {
    if (host.Find(list) == nullptr) host[list] = nullptr;
  }
}

}  // namespace

Json HostConfigJson(const View& view) {
  Json host = Unset();
  for (const auto& [name, value] : view.notes->host_config.members()) {
    host[name] = value;
  }
  SetLimits(view, host);
  SetNamespaces(view, host);
  SetPaths(view, host);
  SetLinks(view, host);
  if (host.Find("RestartPolicy") == nullptr) {
    host["RestartPolicy"] = {{"Name", "no"}, {"MaximumRetryCount", 0}};
  }
  if (host["LogConfig"].Text("Type").empty()) {
    host["LogConfig"] = {{"Type", "json-file"}, {"Config", Json::object()}};
  }
  if (host.Text("Runtime").empty()) {
    const std::string handler =
        view.sandbox == nullptr ? "" : view.sandbox->config().runtime_handler();
    host["Runtime"] = handler.empty() ? "berth" : handler;
  }
  return host;
}

}  // namespace berth::docker
