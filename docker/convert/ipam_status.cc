#include "docker/convert/ipam_status.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <set>
#include <string>

#include "base/strings.h"
#include "cni/user/subnet.h"

namespace berth::docker {
namespace {

using cni::Subnet;

// What is not the network's in an address.
uint64_t BitsOf(const Subnet& subnet) {
  const std::string text = subnet.Text();
  const uint64_t prefix =
      ParseUint(text.substr(text.find('/') + 1)).value_or(0);
  return (subnet.v6() ? 128 : 32) - prefix;
}

// Those that nobody else can have: the first, of IPv4 also the last (RFC 3021
// apart), the gateway's, the reserved ones and the containers'.
std::set<std::string> TakenIn(const Subnet& subnet, const Json& config,
                              const Json& containers) {
  std::set<std::string> taken;
  const bool whole = BitsOf(subnet) > 1;
  if (whole || subnet.v6()) taken.insert(subnet.Address(0));
  if (whole && !subnet.v6()) taken.insert(subnet.Last());
  const auto add = [&](const std::string& text) {
    const std::string address = text.substr(0, text.find('/'));
    if (subnet.Contains(address)) taken.insert(cni::CanonicalAddress(address));
  };
  add(config.Text("Gateway"));
  if (const Json* const reserved = config.Find("AuxiliaryAddresses")) {
    for (const auto& [name, address] : reserved->members()) {
      if (address.is_string()) add(*address.AsText());
    }
  }
  for (const auto& [id, member] : containers.members()) {
    add(member.Text("IPv4Address"));
    add(member.Text("IPv6Address"));
  }
  return taken;
}

// Of the range, without so many of them.
uint64_t FreeIn(const Subnet& range, uint64_t taken) {
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  const uint64_t bits = BitsOf(range);
  if (bits > 64) return kMost;
  if (bits == 64) return taken == 0 ? kMost : kMost - (taken - 1);
  const uint64_t size = uint64_t{1} << bits;
  return size - std::min(size, taken);
}

}  // namespace

Json SubnetsJson(const Json& ipam, const Json& containers) {
  Json subnets = Json::object();
  const Json* const configs = ipam.Find("Config");
  if (configs == nullptr) return subnets;
  for (const Json& config : configs->elements()) {
    const StatusOr<Subnet> subnet = Subnet::Parse(config.Text("Subnet"));
    if (!subnet.ok()) continue;
    const std::set<std::string> taken = TakenIn(*subnet, config, containers);
    // What is given by itself is of the range, if there is one.
    StatusOr<Subnet> range = Subnet::Parse(config.Text("IPRange"));
    if (!range.ok()) range = subnet;
    const uint64_t there = std::count_if(
        taken.begin(), taken.end(),
        [&](const auto& address) { return range->Contains(address); });
    subnets[subnet->Text()] = {{"IPsInUse", taken.size()},
                               {"DynamicIPsAvailable", FreeIn(*range, there)}};
  }
  return subnets;
}

}  // namespace berth::docker
