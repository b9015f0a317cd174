#ifndef CNI_USER_USER_NETWORK_H_
#define CNI_USER_USER_NETWORK_H_

#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "cni/config_list.h"

namespace berth::cni {

struct UserSubnet {
  std::string subnet;
  std::string gateway;  // an address of the bridge
  std::string range;    // where addresses are chosen; "": the subnet
  bool asked = false;   // the user named the subnet
  // Addresses that nobody is given, by names that mean something to the user.
  std::map<std::string, std::string> reserved = {};
};

// A network that somebody made by an API: a bridge of this host with addresses
// of its own; or, by its driver, interfaces that stand beside one of the host's
// (macvlan, ipvlan). A value.
struct UserNetwork {
  std::string id;  // 64 hex digits; also the name of its CNI list
  std::string name;
  UnixNanos created = 0;
  std::string driver = "bridge";  // or "macvlan", "ipvlan"
  std::string bridge;     // name of the interface; "" with other drivers
  std::string parent;     // macvlan, ipvlan: the interface of the host
  std::string mode;       // macvlan, ipvlan: the plugin's; "": its default
  int64_t mtu = 0;        // 0: the kernel's
  bool internal = false;  // no way out of it, and none in
  bool masquerade = true;
  bool icc = true;  // those on the network reach each other
  bool ipv4 = true;
  bool ipv6 = false;
  std::vector<UserSubnet> subnets;  // IPv4 first
  // No network, but settings that others are made by: nothing is attached to
  // it, and its subnets need not be free.
  bool config_only = false;
  std::string config_from;  // name of the one that it was made by; "": none
  // Kept for inspect; nothing here acts on them.
  bool attachable = false;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> options;
  std::string ipam_driver = "default";
  std::map<std::string, std::string> ipam_options;
};

std::string SerializeUserNetwork(const UserNetwork& network);
// INVALID_ARGUMENT for what SerializeUserNetwork cannot have written.
StatusOr<UserNetwork> ParseUserNetwork(const std::string& text);

// The plugins that attach to it: that of its driver with host-local, which
// keeps its addresses in `address_directory`/<id>, and for bridges portmap.
// With `any_address` an address that is asked for may be outside of the range.
StatusOr<ConfigList> ListOf(const UserNetwork& network,
                            const std::string& address_directory,
                            bool any_address);

}  // namespace berth::cni

#endif  // CNI_USER_USER_NETWORK_H_
