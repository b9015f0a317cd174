#ifndef CNI_USER_BRIDGE_FIREWALL_H_
#define CNI_USER_BRIDGE_FIREWALL_H_

#include <string>
#include <vector>

#include "base/context.h"
#include "base/keyed_mutex.h"
#include "base/status.h"

namespace berth::cni {

// One bridge of this host as the firewall sees it.
struct FirewalledBridge {
  std::string bridge;
  std::vector<std::string> masqueraded;  // subnets behind the host's address
  bool internal = false;                 // nothing is forwarded to or from it
  bool v6 = false;
  bool icc = true;  // those on the bridge reach each other
};

// The rules of all bridges, for iptables-restore --noflush (or ip6tables-...):
// three chains of our own, of which these are all rules. Between two bridges
// goes only what was sent to a published port. Pure.
std::string FirewallRules(const std::vector<FirewalledBridge>& all, bool v6);

// Keeps the bridges apart, and hides their addresses behind the host's. Chains
// of others are left alone but for one rule in FORWARD and POSTROUTING each,
// which go to ours. Thread-safe.
class BridgeFirewall {
 public:
  // `one` is gone; those of `all` are left. No chain is left for none.
  Status Remove(const Context& ctx, const std::vector<FirewalledBridge>& all,
                const FirewalledBridge& one);
  // The rules are those of `all`, of which `one` is, unless its own are there:
  // somebody may have flushed the tables, or the machine was booted.
  Status Ensure(const Context& ctx, const std::vector<FirewalledBridge>& all,
                const FirewalledBridge& one);

 private:
  Status ApplyFamily(const Context& ctx,
                     const std::vector<FirewalledBridge>& all, bool v6);

  KeyedMutex one_at_a_time_;
};

}  // namespace berth::cni

#endif  // CNI_USER_BRIDGE_FIREWALL_H_
