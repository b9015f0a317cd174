#include "cni/user/user_networks.h"

#include <fcntl.h>
#include <glog/logging.h>

#include <algorithm>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/fs/tree.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/link.h"

namespace berth::cni {
namespace {

constexpr char kTable[] = "networks";
constexpr uint64_t kMaxRoutes = 16 << 20;

std::vector<Subnet> HostRoutes() {
  std::vector<Subnet> all;
  const StatusOr<std::string> v4 = ReadFile("/proc/net/route", kMaxRoutes);
  if (v4.ok()) all = ParseRoutes(*v4);
  const StatusOr<std::string> v6 = ReadFile("/proc/net/ipv6_route", kMaxRoutes);
  if (!v6.ok()) return all;
  for (const Subnet& subnet : ParseRoutesV6(*v6)) all.push_back(subnet);
  return all;
}

bool HasBridge(const UserNetwork& network) {
  return network.driver == "bridge" && !network.config_only;
}

FirewalledBridge BridgeOf(const UserNetwork& network) {
  FirewalledBridge bridge;
  bridge.bridge = network.bridge;
  bridge.internal = network.internal;
  bridge.v6 = network.ipv6;
  bridge.icc = network.icc;
  for (const UserSubnet& subnet : network.subnets) {
    if (network.masquerade && !network.internal) {
      bridge.masqueraded.push_back(subnet.subnet);
    }
  }
  return bridge;
}

// The gateway is the first address of the range unless it is given.
Status CompleteSubnet(const Subnet& subnet, UserSubnet& wanted) {
  if (!wanted.range.empty()) {
    ASSIGN_OR_RETURN(const Subnet range, Subnet::Parse(wanted.range));
    if (!subnet.Contains(range)) {
      return InvalidArgument("invalid ip-range " + wanted.range +
                             ": it is not in subnet " + wanted.subnet);
    }
  }
  if (wanted.gateway.empty()) wanted.gateway = subnet.Address(1);
  const std::string gateway = CanonicalAddress(wanted.gateway);
  if (!subnet.Contains(gateway) || gateway == subnet.Address(0) ||
      (!subnet.v6() && gateway == subnet.Last())) {
    return InvalidArgument("no matching subnet for gateway " + wanted.gateway);
  }
  wanted.gateway = gateway;
  for (auto& [name, address] : wanted.reserved) {
    if (!subnet.Contains(address)) {
      return InvalidArgument("no matching subnet for aux-address " + address);
    }
    address = CanonicalAddress(address);
  }
  return OkStatus();
}

// Frames between two ports of a bridge are seen by the firewall.
Status SeeBridgedFrames(bool v6) {
  const std::string folder = "/proc/sys/net/bridge/bridge-nf-call-";
  for (const char* name : {"iptables", "ip6tables"}) {
    if (std::string_view(name) == "ip6tables" && !v6) continue;
    const StatusOr<std::string> now = ReadFile(folder + name, 64);
    if (!now.ok()) {
      return FailedPrecondition(
          "restrict what containers of a network send to each other: the "
          "kernel's br_netfilter is needed: " +
          Message(now.status()));
    }
    if (Trim(*now) == "1") continue;
    ASSIGN_OR_RETURN(const UniqueFd file, OpenFile(folder + name, O_WRONLY));
    RETURN_IF_ERROR(WriteAll(file.get(), "1"));
  }
  return OkStatus();
}

}  // namespace

UserNetworks::UserNetworks(
    MetadataStore& store, std::string address_directory,
    std::function<std::optional<FirewalledBridge>()> other)
    : store_(store),
      address_directory_(std::move(address_directory)),
      other_(std::move(other)),
      attachments_(store) {
  const Status read = store_.View([&](const Transaction& tx) -> Status {
    using Records = std::map<std::string, std::string>;
    ASSIGN_OR_RETURN(const Records records, tx.All(kTable));
    MutexLock lock(mutex_);
    for (const auto& [id, text] : records) {
      StatusOr<UserNetwork> network = ParseUserNetwork(text);
      if (network.ok()) {
        networks_[id] = *std::move(network);
      } else {
        tx.SetAside(kTable, id, Message(network.status()));
      }
    }
    return OkStatus();
  });
  LOG_IF(ERROR, !read.ok()) << "read the networks: " << Message(read);
}

std::vector<UserNetwork> UserNetworks::All() const {
  std::vector<UserNetwork> all;
  {
    MutexLock lock(mutex_);
    for (const auto& [id, network] : networks_) all.push_back(network);
  }
  std::sort(all.begin(), all.end(),
            [](const UserNetwork& a, const UserNetwork& b) {
              return a.created < b.created;
            });
  return all;
}

StatusOr<UserNetwork> UserNetworks::Find(const std::string& id) const {
  MutexLock lock(mutex_);
  const auto found = networks_.find(id);
  if (found == networks_.end()) return NotFound("network " + id + " not found");
  return found->second;
}

// Those asked for are looked at first: none is chosen in their place.
Status UserNetworks::Complete(UserNetwork& wanted) const {
  std::vector<Subnet> taken;
  for (const UserNetwork& other : All()) {
    if (other.name == wanted.name) {
      return AlreadyExists("network with name " + wanted.name +
                           " already exists");
    }
    if (other.config_only) continue;
    if (!wanted.bridge.empty() && other.bridge == wanted.bridge) {
      return AlreadyExists("bridge name " + wanted.bridge +
                           " is in use by network " + other.name);
    }
    for (const UserSubnet& one : other.subnets) {
      ASSIGN_OR_RETURN(const Subnet subnet, Subnet::Parse(one.subnet));
      taken.push_back(subnet);
    }
  }
  if (wanted.config_only) return OkStatus();
  for (UserSubnet& one : wanted.subnets) {
    if (one.subnet.empty()) continue;
    ASSIGN_OR_RETURN(const Subnet subnet, Subnet::Parse(one.subnet));
    for (const Subnet& other : taken) {
      if (!other.Overlaps(subnet)) continue;
      return Error(StatusCode::kPermissionDenied,
                   "invalid pool request: Pool overlaps with other one on this "
                   "address space");
    }
    taken.push_back(subnet);
    RETURN_IF_ERROR(CompleteSubnet(subnet, one));
  }
  const std::vector<Subnet> routes = HostRoutes();
  taken.insert(taken.end(), routes.begin(), routes.end());
  for (const bool v6 : {false, true}) {
    if (v6 ? !wanted.ipv6 : !wanted.ipv4) continue;
    const auto of_family = [&](const UserSubnet& one) {
      return !one.subnet.empty() &&
             (one.subnet.find(':') != std::string::npos) == v6;
    };
    if (std::any_of(wanted.subnets.begin(), wanted.subnets.end(), of_family)) {
      continue;
    }
    ASSIGN_OR_RETURN(const Subnet chosen, ChooseSubnet(v6, wanted.id, taken));
    UserSubnet fresh;
    fresh.subnet = chosen.Text();
    RETURN_IF_ERROR(CompleteSubnet(chosen, fresh));
    wanted.subnets.insert(v6 ? wanted.subnets.end() : wanted.subnets.begin(),
                          fresh);
  }
  return OkStatus();
}

// The one that it was made by may have gone since it was read.
Status UserNetworks::CheckSource(const UserNetwork& wanted) const {
  if (wanted.config_from.empty()) return OkStatus();
  for (const UserNetwork& other : All()) {
    if (other.config_only && other.name == wanted.config_from) {
      return OkStatus();
    }
  }
  return NotFound("configuration network " + Quoted(wanted.config_from) +
                  " does not exist");
}

StatusOr<UserNetwork> UserNetworks::Create(const Context& ctx,
                                           UserNetwork wanted) {
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock,
                   changes_.Acquire(ctx, "networks"));
  wanted.id = RandomId();
  wanted.created = Now();
  if (wanted.bridge.empty() && HasBridge(wanted)) {
    wanted.bridge = "br-" + wanted.id.substr(0, 12);
  }
  RETURN_IF_ERROR(CheckSource(wanted));
  RETURN_IF_ERROR(Complete(wanted));
  if (!wanted.icc) RETURN_IF_ERROR(SeeBridgedFrames(wanted.ipv6));
  // What no plugin could be told is found out now.
  if (!wanted.config_only) {
    RETURN_IF_ERROR(ListOf(wanted, address_directory_, false).status());
  }
  RETURN_IF_ERROR(store_.Update([&](Transaction& tx) {
    return tx.Put(kTable, wanted.id, SerializeUserNetwork(wanted));
  }));
  {
    MutexLock table(mutex_);
    networks_[wanted.id] = wanted;
  }
  RETURN_IF_ERROR(Failpoint("cni.network.recorded"));
  return wanted;
}

std::vector<FirewalledBridge> UserNetworks::Bridges() const {
  std::vector<FirewalledBridge> all;
  const std::optional<FirewalledBridge> other = other_();
  MutexLock lock(mutex_);
  for (const auto& [id, network] : networks_) {
    if (removing_.count(id) == 0 && HasBridge(network)) {
      all.push_back(BridgeOf(network));
    }
  }
  // Nobody to be kept apart from: no rule.
  if (other.has_value() && !all.empty()) all.push_back(*other);
  return all;
}

// Records of attachments are saved before the first plugin runs.
Status UserNetworks::CheckUnused(const std::string& id) const {
  ASSIGN_OR_RETURN(const auto records, attachments_.All());
  for (const AttachmentStore::Record& record : records) {
    const StatusOr<Json> json =
        ParseJson(record.text, "network record", kDeepJson);
    if (!json.ok()) continue;
    const StatusOr<ConfigList> list = ParseConfigList(json->Text("list"), "");
    if (list.ok() && list->name == id) {
      return FailedPrecondition("something is attached to network " + id);
    }
  }
  return OkStatus();
}

Status UserNetworks::TakeAway(const Context& ctx, const UserNetwork& network) {
  if (HasBridge(network)) {
    RETURN_IF_ERROR(firewall_.Remove(ctx, Bridges(), BridgeOf(network)));
    RETURN_IF_ERROR(RemoveBridge(network.bridge));
  }
  RETURN_IF_ERROR(Failpoint("cni.network.unlinked"));
  const std::string addresses =
      (address_directory_.empty() ? "/var/lib/cni/networks"
                                  : address_directory_) +
      "/" + network.id;
  RETURN_IF_ERROR(RemoveTree(AT_FDCWD, addresses));
  RETURN_IF_ERROR(Failpoint("cni.network.emptied"));
  return store_.Update(
      [&](Transaction& tx) { return tx.Erase(kTable, network.id); });
}

Status UserNetworks::Remove(const Context& ctx, const std::string& id) {
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock,
                   changes_.Acquire(ctx, "networks"));
  const StatusOr<UserNetwork> network = Find(id);
  if (!network.ok()) return OkStatus();
  for (const UserNetwork& other : All()) {
    if (network->config_only && other.config_from == network->name) {
      return Error(
          StatusCode::kPermissionDenied,
          "configuration network " + Quoted(network->name) + " is in use");
    }
  }
  {
    MutexLock table(mutex_);
    if (uses_.count(id) > 0) {
      return FailedPrecondition("something is being attached to network " + id);
    }
    removing_.insert(id);
  }
  Status removed = CheckUnused(id);
  if (removed.ok()) removed = TakeAway(ctx, *network);
  {
    MutexLock table(mutex_);
    removing_.erase(id);
    if (removed.ok()) networks_.erase(id);
  }
  RETURN_IF_ERROR(removed);
  return Failpoint("cni.network.forgotten");
}

StatusOr<UserNetworks::Use> UserNetworks::BeginUse(const std::string& id) {
  MutexLock lock(mutex_);
  const auto found = networks_.find(id);
  if (found == networks_.end() || removing_.count(id) > 0) {
    return NotFound("network " + id + " not found");
  }
  ++uses_[id];
  return Use(this, found->second);
}

UserNetworks::Use::~Use() {
  if (owner_ == nullptr) return;
  MutexLock lock(owner_->mutex_);
  const auto found = owner_->uses_.find(network_.id);
  if (--found->second == 0) owner_->uses_.erase(found);
}

StatusOr<ConfigList> UserNetworks::Use::List(bool any_address) const {
  return ListOf(network_, owner_->address_directory_, any_address);
}

Status UserNetworks::Use::EnsureRules(const Context& ctx) const {
  if (!HasBridge(network_)) return OkStatus();
  // The host may have started anew since the network was created.
  if (!network_.icc) RETURN_IF_ERROR(SeeBridgedFrames(network_.ipv6));
  return owner_->firewall_.Ensure(ctx, owner_->Bridges(), BridgeOf(network_));
}

}  // namespace berth::cni
