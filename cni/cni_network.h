#ifndef CNI_CNI_NETWORK_H_
#define CNI_CNI_NETWORK_H_

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/gate.h"
#include "base/json.h"
#include "base/keyed_mutex.h"
#include "base/status.h"
#include "base/store/metadata_store.h"
#include "cni/attachment_store.h"
#include "cni/masquerade.h"
#include "cni/network.h"
#include "cni/networks.h"
#include "cni/plugin/plugins.h"
#include "cni/plugin/status_check.h"
#include "cni/user/user_networks.h"

namespace berth::cni {

struct CniOptions {
  std::string config_directory = "/etc/cni/net.d";
  // host-local's for the networks that users make; "": its own default.
  std::string address_directory;
  std::vector<std::string> plugin_folders = {"/usr/lib/cni", "/opt/cni/bin"};
  // Where an older version kept a file for the eth0 of each sandbox: taken
  // over.
  std::string old_result_directory;
  Duration plugin_time_limit = std::chrono::seconds(60);
  // How long Detach insists on a plugin that no folder has any more.
  Duration missing_plugin_patience = std::chrono::minutes(1);
  // How long what plugins say of their state counts, and how long they may take
  // to say it.
  Duration status_good_for = std::chrono::seconds(5);
  Duration status_limit = std::chrono::seconds(3);
  // How long the plugins of one network may collect, which keeps Attach out.
  Duration collect_limit = std::chrono::seconds(10);
};

// Networks made by CNI plugins, by the configuration list that the network has
// at the time of Attach: one of the administrator's files, or that of a network
// that a user has made. Check and Detach use the very list that Attach used,
// from a record that is saved before the first plugin runs and again with its
// result: so neither a crash, nor a reboot, nor a new configuration strands
// what was given.
//
// Detach of what could not be attached is tried, and its errors are logged: no
// sandbox is held for them, and the record stays until a Detach succeeds. Where
// a plugin's program is gone, the network's list of today takes the place of
// that list; if it cannot, UNAVAILABLE at first; after a while the sandbox is
// let go, and the record stays for whoever finds it by Attached.
//
// portmap and bandwidth are not run for a sandbox without port mappings or
// limits: they would only hand on the result that they are given.
//
// Thread-safe. Verbs on one sandbox run one after another.
class CniNetwork : public Network {
 public:
  CniNetwork(CniOptions options, MetadataStore& store);

  Status Ready() const override;
  // The text of the default network's list; errors as Ready.
  StatusOr<std::string> DefaultList() const;
  StatusOr<NetworkResult> Attach(const Context& ctx,
                                 const Attachment& to) override;
  Status Check(const Context& ctx, const Attachment& to) override;
  Status Detach(const Context& ctx, const Attachment& from) override;

  Status DetachInterface(const Context& ctx, const Attachment& from) override;
  // By the administrator's lists of today that speak 1.1.0 and do not forbid
  // it ("disableGC"): the default network's, and those that something is
  // attached to by our records. Each has collect_limit. All are tried, the
  // first error is returned.
  Status CollectGarbage(const Context& ctx) override;
  StatusOr<std::set<std::string>> Attached() const override;

  UserNetworks& user_networks() { return user_networks_; }

 private:
  struct Plan;  // an attachment and the list it goes by

  StatusOr<Plan> NewPlan(const Attachment& to);
  StatusOr<Plan> SavedPlan(const Attachment& of) const;
  Status Save(const Plan& plan);
  Status Record(const Context& ctx, const Plan& plan);
  void TakeBack(const Context& ctx, Plan& plan);
  Status DetachOne(const Context& ctx, const Attachment& from);
  Status DeleteOrLetGo(const Context& ctx, Plan& plan);
  bool TakeTodaysList(Plan& plan) const;

  StatusOr<Json> RunOne(const Context& ctx, const Plan& plan, size_t index,
                        const char* command, const Json& previous) const;
  StatusOr<Json> AddAll(const Context& ctx, Plan& plan) const;
  Status EnsureRules(const Context& ctx, const Plan& plan);
  StatusOr<Json> AddAllAndRules(const Context& ctx, Plan& plan);
  Status DeleteAll(const Context& ctx, const Plan& plan) const;
  // The plan of one that cannot be read is its error.
  using EachPlan = std::function<void(const AttachmentStore::Record& record,
                                      const StatusOr<Plan>& plan)>;
  Status ForEachRecord(const EachPlan& action) const;
  StatusOr<std::set<std::string>> NetworksInUse() const;
  StatusOr<Json> ValidAttachments(const std::string& network) const;
  Status CollectGarbageOf(const Context& ctx, const ConfigList& list);

  const CniOptions options_;
  const Plugins plugins_;
  const std::unique_ptr<Networks> networks_;
  AttachmentStore records_;
  UserNetworks user_networks_;
  MasqueradeRule masquerade_;
  mutable StatusCheck status_;
  KeyedMutex verbs_;
  // Who makes a new record enters until it is saved; who collects by the
  // records is alone.
  Gate recording_;
};

}  // namespace berth::cni

#endif  // CNI_CNI_NETWORK_H_
