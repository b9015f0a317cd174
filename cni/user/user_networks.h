#ifndef CNI_USER_USER_NETWORKS_H_
#define CNI_USER_USER_NETWORKS_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/context.h"
#include "base/keyed_mutex.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/store/metadata_store.h"
#include "cni/attachment_store.h"
#include "cni/user/bridge_firewall.h"
#include "cni/user/subnet.h"
#include "cni/user/user_network.h"

namespace berth::cni {

// The networks that users have made by an API, as records in the daemon's
// database. A network's bridge and firewall rules are made when the first
// sandbox is attached, and go with the record. Thread-safe.
class UserNetworks {
 public:
  // `address_directory` is host-local's. `other` tells the node's default
  // bridge, which the users' are kept apart from.
  UserNetworks(MetadataStore& store, std::string address_directory,
               std::function<std::optional<FirewalledBridge>()> other);
  UserNetworks(const UserNetworks&) = delete;
  UserNetworks& operator=(const UserNetworks&) = delete;

  // Gives it an id, a bridge if none is asked for, and subnets where none is.
  // ALREADY_EXISTS for a name or a bridge that is taken; PERMISSION_DENIED for
  // a subnet that overlaps another network's.
  StatusOr<UserNetwork> Create(const Context& ctx, UserNetwork wanted);
  StatusOr<UserNetwork> Find(const std::string& id) const;
  std::vector<UserNetwork> All() const;  // oldest first
  // With its bridge, addresses and rules. OK for one that is not there;
  // FAILED_PRECONDITION while something is attached to it.
  Status Remove(const Context& ctx, const std::string& id);

  // What an attachment needs of its network, which is not removed before this
  // is destroyed. Must not outlive the UserNetworks. Thread-compatible.
  class [[nodiscard]] Use {
   public:
    Use(Use&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)),
          network_(std::move(other.network_)) {}
    Use& operator=(Use&&) = delete;
    ~Use();
    const UserNetwork& network() const { return network_; }
    // See ListOf.
    StatusOr<ConfigList> List(bool any_address) const;
    // Keeps the network apart from the others, if it is not yet.
    Status EnsureRules(const Context& ctx) const;

   private:
    friend class UserNetworks;
    Use(UserNetworks* owner, UserNetwork network)
        : owner_(owner), network_(std::move(network)) {}
    UserNetworks* owner_;
    UserNetwork network_;
  };
  // NOT_FOUND if there is no such network.
  StatusOr<Use> BeginUse(const std::string& id);

 private:
  Status Complete(UserNetwork& wanted) const;
  std::vector<FirewalledBridge> Bridges() const;
  Status CheckSource(const UserNetwork& wanted) const;
  Status CheckUnused(const std::string& id) const;
  Status TakeAway(const Context& ctx, const UserNetwork& network);

  MetadataStore& store_;
  const std::string address_directory_;
  const std::function<std::optional<FirewalledBridge>()> other_;
  const AttachmentStore attachments_;
  BridgeFirewall firewall_;
  // One key: networks are made and removed one after another.
  KeyedMutex changes_;
  mutable Mutex mutex_;
  std::map<std::string, UserNetwork> networks_ GUARDED_BY(mutex_);
  std::map<std::string, int> uses_ GUARDED_BY(mutex_);
  std::set<std::string> removing_ GUARDED_BY(mutex_);
};

}  // namespace berth::cni

#endif  // CNI_USER_USER_NETWORKS_H_
