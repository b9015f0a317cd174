#ifndef CNI_NETWORK_H_
#define CNI_NETWORK_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/status.h"

namespace berth::cni {

struct PortMapping {
  int32_t host_port = 0;  // 0: not published, skipped
  int32_t container_port = 0;
  std::string protocol = "tcp";  // tcp, udp, sctp
  std::string host_ip;           // "" all addresses
};

// Bits per second and bits.
struct Bandwidth {
  uint64_t ingress_rate = 0;  // 0: not limited
  uint64_t ingress_burst = 0;
  uint64_t egress_rate = 0;
  uint64_t egress_burst = 0;
};

struct Dns {
  std::vector<std::string> servers;
  std::vector<std::string> searches;
  std::vector<std::string> options;
};

// Who is attached, to which network, and what it asks for there: the same value
// for Attach and Check.
struct Attachment {
  std::string sandbox_id;          // CNI_CONTAINERID
  std::string netns;               // path of the pinned namespace; "" if gone
  std::string network;             // its name; "" is the node's default
  std::string interface = "eth0";  // inside the sandbox; no two are the same
  std::vector<std::string> ips;    // to have there; empty: any
  std::string mac;                 // to have there; "": any
  // K8S_POD_*; all empty for what is not a pod.
  std::string pod_namespace;
  std::string pod_name;
  std::string pod_uid;
  // Passed on only to plugins that declare the capability.
  std::vector<PortMapping> port_mappings;
  std::optional<Bandwidth> bandwidth;
  std::optional<Dns> dns;
  std::string cgroup_path;
  std::map<std::string, std::string> annotations;
};

struct Address {
  std::string ip;  // "10.88.0.2", "fd00::2"
  int prefix_length = 0;
  std::string gateway;  // "" if none
};

// What the plugins gave the sandbox's interface.
struct NetworkResult {
  std::string network;    // name of the configuration list
  std::string interface;  // inside the sandbox
  std::string mac;
  // The first is the sandbox's address; no two are the same. A network without
  // a way out has no gateway.
  std::vector<Address> addresses;
  Dns dns;
};

// Attaches sandboxes to the networks of this node, each to as many as it likes,
// by one interface for each. Implementations: CniNetwork, and fakes in tests.
// Thread-safe.
class Network {
 public:
  virtual ~Network() = default;

  // OK, or UNAVAILABLE and why no sandbox can be attached to the default
  // network now.
  virtual Status Ready() const = 0;

  // Gives the namespace an interface. All or nothing: what a failed Attach did
  // is taken back before it returns; other interfaces stay. FAILED_PRECONDITION
  // if there is no such network.
  virtual StatusOr<NetworkResult> Attach(const Context& ctx,
                                         const Attachment& to) = 0;

  // OK if the sandbox still has what Attach gave it by this interface.
  virtual Status Check(const Context& ctx, const Attachment& to) = 0;

  // Takes back all interfaces of the sandbox, the last first, by what Attach
  // recorded. Where one fails the others go all the same; it is tried again at
  // the next call. Idempotent: OK for what was never attached, and when the
  // namespace is gone (then addresses and port mappings are still given back).
  // `from`: any of its attachments; it stands in for a record that is damaged.
  virtual Status Detach(const Context& ctx, const Attachment& from) = 0;

  // The same for the one interface that `from` names.
  virtual Status DetachInterface(const Context& ctx,
                                 const Attachment& from) = 0;

  // Has the networks give back what they hold for attachments that this node
  // does not know of: what a lost database, or a plugin that lost a DEL, left
  // behind. Attach waits meanwhile. Only what plugins of CNI 1.1.0 can do.
  virtual Status CollectGarbage(const Context& ctx) = 0;

  // The sandboxes that something is, or may be, attached for.
  virtual StatusOr<std::set<std::string>> Attached() const = 0;
};

}  // namespace berth::cni

#endif  // CNI_NETWORK_H_
