#include "cni/plugin_config.h"

#include "base/strings.h"

namespace berth::cni {
namespace {

bool Declares(const Json& plugin, const std::string& capability) {
  const Json* const all = plugin.Find("capabilities");
  const Json* const found = all == nullptr ? nullptr : all->Find(capability);
  return found != nullptr && found->AsBool() == true;
}

Json PortMappings(const std::vector<PortMapping>& mappings) {
  Json array = Json::array();
  for (const PortMapping& mapping : mappings) {
    if (mapping.host_port <= 0) continue;
    Json element = {{"hostPort", mapping.host_port},
                    {"containerPort", mapping.container_port},
                    {"protocol", Lower(mapping.protocol)}};
    if (!mapping.host_ip.empty()) element["hostIP"] = mapping.host_ip;
    array.push_back(std::move(element));
  }
  return array;
}

Json BandwidthOf(const Bandwidth& bandwidth) {
  Json object = Json::object();
  if (bandwidth.ingress_rate > 0) {
    object["ingressRate"] = bandwidth.ingress_rate;
    object["ingressBurst"] = bandwidth.ingress_burst;
  }
  if (bandwidth.egress_rate > 0) {
    object["egressRate"] = bandwidth.egress_rate;
    object["egressBurst"] = bandwidth.egress_burst;
  }
  return object;
}

}  // namespace

std::string ArgsOf(const Attachment& attachment) {
  if (attachment.pod_name.empty()) {
    // The word of old for the capability "mac": a network that does not
    // declare it may be asked too.
    return attachment.mac.empty() ? "IgnoreUnknown=1"
                                  : "IgnoreUnknown=1;MAC=" + attachment.mac;
  }
  return "IgnoreUnknown=1;K8S_POD_NAMESPACE=" + attachment.pod_namespace +
         ";K8S_POD_NAME=" + attachment.pod_name +
         ";K8S_POD_INFRA_CONTAINER_ID=" + attachment.sandbox_id +
         ";K8S_POD_UID=" + attachment.pod_uid;
}

Json CapabilitiesOf(const Attachment& attachment) {
  Json all = Json::object();
  Json mappings = PortMappings(attachment.port_mappings);
  if (!mappings.empty()) all["portMappings"] = std::move(mappings);
  if (attachment.bandwidth.has_value()) {
    Json bandwidth = BandwidthOf(*attachment.bandwidth);
    if (!bandwidth.empty()) all["bandwidth"] = std::move(bandwidth);
  }
  if (!attachment.ips.empty()) all["ips"] = attachment.ips;
  if (!attachment.mac.empty()) all["mac"] = attachment.mac;
  if (attachment.dns.has_value()) {
    all["dns"] = {{"servers", attachment.dns->servers},
                  {"searches", attachment.dns->searches},
                  {"options", attachment.dns->options}};
  }
  if (!attachment.cgroup_path.empty()) {
    all["cgroupPath"] = attachment.cgroup_path;
  }
  if (!attachment.annotations.empty()) {
    all["io.kubernetes.cri.pod-annotations"] = attachment.annotations;
  }
  return all;
}

Json PluginConfig(const ConfigList& list, const Json& plugin,
                  const Json& capabilities, const Json& previous) {
  Json config = plugin;
  config["name"] = list.name;
  config["cniVersion"] = list.cni_version;
  Json runtime = Json::object();
  for (const auto& [capability, value] : capabilities.members()) {
    if (Declares(plugin, capability)) runtime[capability] = value;
  }
  config.erase("capabilities");
  if (!runtime.empty()) config["runtimeConfig"] = std::move(runtime);
  if (!previous.is_null()) config["prevResult"] = previous;
  return config;
}

bool HasWork(const Json& plugin, const Json& capabilities) {
  const std::string type = plugin.Text("type");
  if (type == "portmap") return capabilities.Find("portMappings") != nullptr;
  if (type == "bandwidth") {
    return capabilities.Find("bandwidth") != nullptr ||
           plugin.Find("ingressRate") != nullptr ||
           plugin.Find("egressRate") != nullptr;
  }
  return true;
}

}  // namespace berth::cni
