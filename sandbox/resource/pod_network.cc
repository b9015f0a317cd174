#include "sandbox/resource/pod_network.h"

#include <sched.h>

#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/failpoint.h"
#include "base/strings.h"
#include "base/sys/link.h"
#include "base/sys/namespace.h"
#include "base/sys/route.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "cni/plugin/loopback_plugin.h"
#include "cni/user/name_redirect.h"
#include "sandbox/resource/name_files.h"
#include "sandbox/resource/namespaces.h"
#include "sandbox/resource/network_state.h"

namespace berth::sandbox {
namespace {

using ::berth::state::v1::NetworkState;
using ::berth::state::v1::SandboxRecord;

constexpr std::chrono::seconds kReleaseTime{60};

bool Attached(const SandboxRecord& sandbox) {
  return sandbox.config().namespaces().network() ==
         state::v1::NAMESPACE_MODE_POD;
}

using Sysctls = std::map<std::string, std::string>;  // file -> value

Status WriteSysctls(const SandboxRecord& sandbox, const Sysctls& wanted) {
  if (wanted.empty()) return OkStatus();
  ASSIGN_OR_RETURN(const UniqueFd netns,
                   OpenNamespace(sandbox.namespaces().network(), CLONE_NEWNET));
  Status result;
  ASSIGN_OR_RETURN(Thread inside, StartThread("sysctls", [&] {
                     result = EnterNamespace(netns.get(), CLONE_NEWNET);
                     for (const auto& [file, value] : wanted) {
                       if (result.ok()) result = SetSysctl(file, value);
                     }
                   }));
  inside.Join();
  return result;
}

// Those of the network, now that its interface is there; those that were set
// before as well, as plugins change some.
Status SetSysctls(const SandboxRecord& sandbox, const std::string& proc) {
  Sysctls wanted;
  for (const auto& [name, value] : sandbox.config().sysctls()) {
    ASSIGN_OR_RETURN(const std::string file,
                     SysctlFile(name, true, true, true));
    if (StartsWith(file, "net/")) wanted[proc + "/sys/" + file] = value;
  }
  return WriteSysctls(sandbox, wanted);
}

// What no plugin gives: addresses of the link alone, and what the kernel keeps
// for this interface.
Status Finish(const SandboxRecord& sandbox, int at, const std::string& proc) {
  constexpr std::string_view kName = "/IFNAME/";
  if (at >= sandbox.config().networks_size()) return OkStatus();
  const auto& asked = sandbox.config().networks(at);
  const std::string& interface = StateOf(sandbox, at).interface();
  for (const std::string& address : asked.link_local_ips()) {
    const bool v6 = address.find(':') != std::string::npos;
    ASSIGN_OR_RETURN(
        const UniqueFd netns,
        OpenNamespace(sandbox.namespaces().network(), CLONE_NEWNET));
    RETURN_IF_ERROR(AddAddress(netns.get(), interface, address, v6 ? 64 : 16));
  }
  Sysctls wanted;
  for (const auto& [name, value] : asked.sysctls()) {
    std::string file = proc + "/sys/" + name;
    const size_t place = file.find(kName);
    if (place != std::string::npos) {
      file.replace(place, kName.size(), "/" + interface + "/");
    }
    wanted[file] = value;
  }
  return WriteSysctls(sandbox, wanted);
}

const char* ProtocolName(state::v1::Protocol protocol) {
  switch (protocol) {
    case state::v1::PROTOCOL_UDP:
      return "udp";
    case state::v1::PROTOCOL_SCTP:
      return "sctp";
    default:
      return "tcp";
  }
}

StatusOr<uint64_t> RateOf(const SandboxRecord& sandbox, const char* name) {
  const auto& annotations = sandbox.config().annotations();
  const auto it = annotations.find(name);
  if (it == annotations.end()) return 0;
  StatusOr<uint64_t> rate = ParseRate(it->second);
  if (!rate.ok()) return Annotate(rate.status(), "annotation " + it->first);
  return rate;
}

}  // namespace

StatusOr<uint64_t> ParseRate(const std::string& text) {
  static const std::map<std::string, double> kUnits = {{"", 1},
                                                       {"k", 1e3},
                                                       {"M", 1e6},
                                                       {"G", 1e9},
                                                       {"T", 1e12},
                                                       {"P", 1e15},
                                                       {"Ki", 1024.0},
                                                       {"Mi", 1048576.0},
                                                       {"Gi", 1073741824.0},
                                                       {"Ti", 1099511627776.0}};
  const size_t digits = text.find_first_not_of("0123456789.");
  const std::string number = text.substr(0, digits);
  const std::string unit =
      digits == std::string::npos ? "" : text.substr(digits);
  const auto it = kUnits.find(unit);
  char* end = nullptr;
  const double value = std::strtod(number.c_str(), &end);
  if (number.empty() || *end != '\0' || it == kUnits.end()) {
    return InvalidArgument(Quoted(text) + ": not a rate");
  }
  const double rate = value * it->second;
  if (rate < 1e3 || rate > 1e15) {
    return InvalidArgument(Quoted(text) + ": not between 1k and 1P");
  }
  return static_cast<uint64_t>(rate);
}

namespace {

// A name server's port, for a sandbox with names to be told of.
Status ServeNames(const Context& ctx, const SandboxRecord& sandbox) {
  if (!HasNames(sandbox.config())) return OkStatus();
  return cni::RedirectNames(ctx, sandbox.namespaces().network());
}

// What it asks of any network.
StatusOr<cni::Attachment> Common(const SandboxRecord& sandbox) {
  const auto& config = sandbox.config();
  cni::Attachment to;
  to.sandbox_id = sandbox.id();
  to.netns = sandbox.namespaces().network();
  if (config.kind() == state::v1::SANDBOX_KIND_POD) {
    to.pod_namespace = config.metadata().namespace_();
    to.pod_name = config.metadata().name();
    to.pod_uid = config.metadata().uid();
  }
  cni::Bandwidth bandwidth;
  ASSIGN_OR_RETURN(bandwidth.ingress_rate,
                   RateOf(sandbox, "kubernetes.io/ingress-bandwidth"));
  ASSIGN_OR_RETURN(bandwidth.egress_rate,
                   RateOf(sandbox, "kubernetes.io/egress-bandwidth"));
  if (bandwidth.ingress_rate > 0) bandwidth.ingress_burst = UINT32_MAX;
  if (bandwidth.egress_rate > 0) bandwidth.egress_burst = UINT32_MAX;
  if (bandwidth.ingress_rate > 0 || bandwidth.egress_rate > 0) {
    to.bandwidth = bandwidth;
  }
  if (config.has_dns()) {
    const auto& dns = config.dns();
    to.dns = cni::Dns{{dns.servers().begin(), dns.servers().end()},
                      {dns.searches().begin(), dns.searches().end()},
                      {dns.options().begin(), dns.options().end()}};
  }
  to.cgroup_path = sandbox.cgroup().path();
  to.annotations.insert(config.annotations().begin(),
                        config.annotations().end());
  return to;
}

void Publish(const SandboxRecord& sandbox, cni::Attachment& to) {
  for (const auto& port : sandbox.config().port_mappings()) {
    if (port.host_port() == 0) continue;
    cni::PortMapping mapping;
    mapping.host_port = static_cast<int32_t>(port.host_port());
    mapping.container_port = static_cast<int32_t>(port.container_port());
    mapping.protocol = ProtocolName(port.protocol());
    mapping.host_ip = port.host_ip();
    to.port_mappings.push_back(mapping);
  }
}

void Ask(const state::v1::NetworkAttachment& asked, cni::Attachment& to) {
  to.network = asked.network();
  to.ips = {asked.ips().begin(), asked.ips().end()};
  to.mac = asked.mac();
}

// Of the networks that are attached and have a gateway of the family.
const NetworkState* WayOut(const SandboxRecord& sandbox, bool v6,
                           std::string& gateway) {
  const auto& asked = sandbox.config().networks();
  const NetworkState* best = nullptr;
  int best_at = 0;
  for (int at = 0; at < asked.size(); ++at) {
    const NetworkState& state = StateOf(sandbox, at);
    if (!state.attached() ||
        (best != nullptr && !ComesFirst(asked[at], asked[best_at]))) {
      continue;
    }
    for (const auto& ip : state.ips()) {
      if (ip.gateway().empty() ||
          (ip.gateway().find(':') != std::string::npos) != v6) {
        continue;
      }
      best = &state;
      best_at = at;
      gateway = ip.gateway();
      break;
    }
  }
  return best;
}

void Record(const cni::NetworkResult& result, NetworkState& state) {
  state.set_attached(true);
  state.set_interface(result.interface);
  state.set_mac(result.mac);
  state.set_network(result.network);
  state.clear_ips();
  for (const cni::Address& address : result.addresses) {
    auto& ip = *state.add_ips();
    ip.set_address(address.ip);
    ip.set_gateway(address.gateway);
    ip.set_prefix_length(static_cast<uint32_t>(address.prefix_length));
  }
}

// "eth" and the first number that no attachment before it has.
std::string InterfaceOf(const state::v1::SandboxConfig& config, int at) {
  const auto& networks = config.networks();
  if (!networks[at].interface().empty()) return networks[at].interface();
  std::set<std::string> asked;
  int before = 0;
  for (int i = 0; i < networks.size(); ++i) {
    asked.insert(networks[i].interface());
    if (i < at && networks[i].interface().empty()) ++before;
  }
  for (int number = 0;; ++number) {
    std::string name = "eth" + std::to_string(number);
    if (asked.count(name) == 0 && before-- == 0) return name;
  }
}

}  // namespace

StatusOr<std::vector<cni::Attachment>> AttachmentsOf(
    const SandboxRecord& sandbox) {
  ASSIGN_OR_RETURN(cni::Attachment to, Common(sandbox));
  const auto& config = sandbox.config();
  const std::optional<int> gateway = GatewayOf(config);
  std::vector<cni::Attachment> all;
  for (int at = 0; at < config.networks_size(); ++at) {
    cni::Attachment one = to;
    Ask(config.networks(at), one);
    one.interface = InterfaceOf(config, at);
    if (gateway == at) Publish(sandbox, one);
    if (at > 0) one.bandwidth.reset();
    all.push_back(std::move(one));
  }
  if (all.empty() && !config.exact_networks()) {
    Publish(sandbox, to);
    all.push_back(to);
  }
  return all;
}

Status SetGateways(const SandboxRecord& sandbox) {
  if (!sandbox.config().exact_networks()) return OkStatus();
  ASSIGN_OR_RETURN(const UniqueFd netns,
                   OpenNamespace(sandbox.namespaces().network(), CLONE_NEWNET));
  for (const bool v6 : {false, true}) {
    std::string gateway;
    const NetworkState* const out = WayOut(sandbox, v6, gateway);
    RETURN_IF_ERROR(out == nullptr ? ClearDefaultRoutes(netns.get(), v6)
                                   : SetDefaultRoute(netns.get(), gateway,
                                                     out->interface()));
  }
  return OkStatus();
}

Status ConnectOne(const Context& ctx, const HostPaths& paths,
                  cni::Network& network, SandboxRecord& sandbox, int at) {
  ASSIGN_OR_RETURN(cni::Attachment to, Common(sandbox));
  to.bandwidth.reset();
  Ask(sandbox.config().networks(at), to);
  NetworkState& state = MutableState(sandbox, at);
  to.interface = state.interface();
  // What a try that was cut off has left.
  RETURN_IF_ERROR(network.DetachInterface(ctx, to));
  ASSIGN_OR_RETURN(const cni::NetworkResult result, network.Attach(ctx, to));
  Record(result, state);
  RETURN_IF_ERROR(Finish(sandbox, at, paths.proc));
  RETURN_IF_ERROR(SetGateways(sandbox));
  return ServeNames(ctx, sandbox);
}

Status DisconnectOne(const Context& ctx, cni::Network& network,
                     const SandboxRecord& sandbox, int at) {
  ASSIGN_OR_RETURN(cni::Attachment from, Common(sandbox));
  Ask(sandbox.config().networks(at), from);
  from.interface = StateOf(sandbox, at).interface();
  return network.DetachInterface(ctx, from);
}

Status PodNetwork::Acquire(const Context& ctx, SandboxRecord& sandbox) {
  const bool attached = Attached(sandbox);
  if (attached || sandbox.config().namespaces().network() ==
                      state::v1::NAMESPACE_MODE_NONE) {
    RETURN_IF_ERROR(cni::RaiseLoopback(sandbox.namespaces().network()));
  }
  if (!attached) return OkStatus();
  sandbox.mutable_network()->set_attaching(true);
  sandbox.clear_more_networks();
  ASSIGN_OR_RETURN(const std::vector<cni::Attachment> all,
                   AttachmentsOf(sandbox));
  RETURN_IF_ERROR(ServeNames(ctx, sandbox));
  int at = 0;
  for (const cni::Attachment& to : all) {
    NetworkState& state = MutableState(sandbox, at);
    state.set_attaching(true);
    ASSIGN_OR_RETURN(const cni::NetworkResult result, network_.Attach(ctx, to));
    Record(result, state);
    RETURN_IF_ERROR(Finish(sandbox, at++, paths_.proc));
  }
  RETURN_IF_ERROR(SetGateways(sandbox));
  RETURN_IF_ERROR(SetSysctls(sandbox, paths_.proc));
  return Failpoint("sandbox.start.network");
}

Status PodNetwork::Recover(const Context&, SandboxRecord&) {
  // The addresses live in the namespace, which Namespaces has looked at; what
  // the plugins keep is asked for when it is given back.
  return OkStatus();
}

Status PodNetwork::Release(const Context& ctx, const SandboxRecord& sandbox) {
  if (!Attached(sandbox)) return OkStatus();
  StatusOr<cni::Attachment> from = Common(sandbox);
  // A request that was refused for its annotations has never been attached.
  if (!from.ok()) return OkStatus();
  if (sandbox.config().networks_size() > 0) {
    Ask(sandbox.config().networks(0), *from);
  }
  from->netns = paths_.NetworkNamespace(sandbox.id());
  if (!OpenNamespace(from->netns, CLONE_NEWNET).ok()) from->netns.clear();
  RETURN_IF_ERROR(network_.Detach(ctx.WithTimeout(kReleaseTime), *from));
  return Failpoint("sandbox.stop.network");
}

}  // namespace berth::sandbox
