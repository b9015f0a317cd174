#include "docker/convert/network_options.h"

#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/strings.h"
#include "cni/user/subnet.h"
#include "docker/convert/go_bool.h"

namespace berth::docker {
namespace {

constexpr int64_t kMaxMtu = 65535;
constexpr size_t kMaxInterfaceName = 15;

constexpr char kBridgeName[] = "com.docker.network.bridge.name";
constexpr char kMtu[] = "com.docker.network.driver.mtu";
constexpr char kMasquerade[] = "com.docker.network.bridge.enable_ip_masquerade";
constexpr char kIcc[] = "com.docker.network.bridge.enable_icc";
constexpr char kGatewayModeV4[] = "com.docker.network.bridge.gateway_mode_ipv4";
constexpr char kGatewayModeV6[] = "com.docker.network.bridge.gateway_mode_ipv6";

bool IsIpv4(const std::string& text) {
  return text.find(':') == std::string::npos &&
         !cni::CanonicalAddress(text).empty();
}

Status ReadBool(const std::string& key, const std::string& value, bool& flag) {
  const std::optional<bool> parsed = ParseGoBool(value);
  if (!parsed.has_value()) {
    return InvalidArgument("Options." + key + ": invalid value " +
                           Quoted(value) + ": not a boolean");
  }
  flag = *parsed;
  return OkStatus();
}

Status ReadMtu(const std::string& value, int64_t& mtu) {
  mtu = ParseInt(value).value_or(-1);
  if (mtu >= 0 && mtu <= kMaxMtu) return OkStatus();
  return InvalidArgument("invalid MTU " + Quoted(value));
}

Status ReadBridgeOption(const std::string& key, const std::string& value,
                        cni::UserNetwork& network) {
  if (key == kBridgeName) {
    if (!IsInterfaceName(value)) {
      return InvalidArgument("invalid bridge name " + Quoted(value));
    }
    network.bridge = value;
    return OkStatus();
  }
  if (key == kMtu) return ReadMtu(value, network.mtu);
  if (key == kMasquerade) return ReadBool(key, value, network.masquerade);
  if (key == kIcc) return ReadBool(key, value, network.icc);
  if (key == kHostBinding && (value.empty() || IsIpv4(value))) {
    return OkStatus();
  }
  // What is done anyway.
  if ((key == kGatewayModeV4 || key == kGatewayModeV6) &&
      (value.empty() || value == "nat")) {
    return OkStatus();
  }
  return Unimplemented("Options." + key + ": " + Quoted(value) +
                       " is not supported");
}

// Of macvlan and ipvlan, whose options have short names.
Status ReadLinkOption(const std::string& key, const std::string& value,
                      cni::UserNetwork& network) {
  static const auto& modes = *new std::map<std::string, std::set<std::string>>{
      {"macvlan_mode", {"bridge", "private", "vepa", "passthru"}},
      {"ipvlan_mode", {"l2"}}};
  if (key == "parent") {
    if (!IsInterfaceName(value)) {
      return InvalidArgument("invalid parent interface " + Quoted(value));
    }
    network.parent = value;
  } else if (key == kMtu) {
    return ReadMtu(value, network.mtu);
  } else if (key == network.driver + "_mode") {
    const std::set<std::string>& known = modes.at(key);
    if (key == "ipvlan_mode" && (value == "l3" || value == "l3s")) {
      return Unimplemented("Options." + key + ": " + Quoted(value) +
                           " is not supported");
    }
    if (known.count(value) == 0) {
      return InvalidArgument("unknown " + network.driver + " mode " +
                             Quoted(value));
    }
    network.mode = value;
  } else if (key == "ipvlan_flag" && value != "bridge") {
    return Unimplemented("Options." + key + ": " + Quoted(value) +
                         " is not supported");
  }
  return OkStatus();
}

}  // namespace

bool IsInterfaceName(const std::string& name) {
  return !name.empty() && name.size() <= kMaxInterfaceName &&
         name.find_first_of("/: \t\n!+") == std::string::npos &&
         name.front() != '-' && name.front() != '.';
}

Status ReadNetworkOptions(cni::UserNetwork& network) {
  const bool bridge = network.driver == "bridge";
  for (const auto& [key, value] : network.options) {
    if (!bridge) {
      RETURN_IF_ERROR(ReadLinkOption(key, value, network));
    } else if (StartsWith(key, "com.docker.network.")) {
      RETURN_IF_ERROR(ReadBridgeOption(key, value, network));
    }
  }
  if (!bridge && network.parent.empty() && !network.config_only) {
    return Unimplemented("Options.parent: a network of driver " +
                         network.driver +
                         " without an interface of the host is not supported");
  }
  return OkStatus();
}

}  // namespace berth::docker
