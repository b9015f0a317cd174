#ifndef CNI_CNI_NETWORK_H_
#define CNI_CNI_NETWORK_H_

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/json.h"
#include "base/keyed_mutex.h"
#include "base/status.h"
#include "cni/config_list.h"
#include "cni/invoker.h"
#include "cni/masquerade.h"
#include "cni/network.h"

namespace berth::cni {

struct CniOptions {
  std::string config_directory = "/etc/cni/net.d";
  std::vector<std::string> plugin_folders = {"/usr/lib/cni", "/opt/cni/bin"};
  // What was asked of plugins and what they gave, a file per sandbox: made if
  // missing.
  std::string result_directory;
  std::string interface = "eth0";
  Duration plugin_time_limit = std::chrono::seconds(60);
};

// A network made by CNI plugins, by the configuration list that the folder
// holds at the time of Attach. Check and Detach use the very list that Attach
// used, from a file written before the first plugin runs: so a crash, or a new
// configuration, does not strand what was given.
//
// portmap and bandwidth are not run for a sandbox without port mappings or
// limits: they would only hand on the result that they are given.
//
// Thread-safe. Verbs on one sandbox run one after another.
class CniNetwork : public Network {
 public:
  explicit CniNetwork(CniOptions options);

  Status Ready() const override;
  StatusOr<NetworkResult> Attach(const Context& ctx,
                                 const Attachment& to) override;
  Status Check(const Context& ctx, const Attachment& to) override;
  Status Detach(const Context& ctx, const Attachment& from) override;

  // The sandboxes that something is, or may be, attached for.
  StatusOr<std::set<std::string>> Attached() const;

 private:
  struct Plan;  // an attachment and the list it goes by

  std::string FileOf(const std::string& sandbox_id) const;
  StatusOr<Plan> NewPlan(const Attachment& to) const;
  StatusOr<Plan> SavedPlan(const Attachment& of) const;
  Status Save(const Plan& plan) const;
  Status Forget(const std::string& sandbox_id) const;

  StatusOr<Json> RunOne(const Context& ctx, const Plan& plan, size_t index,
                        const char* command, const Json& previous) const;
  StatusOr<Json> AddAll(const Context& ctx, Plan& plan) const;
  StatusOr<Json> AddAllAndMasquerade(const Context& ctx, Plan& plan);
  Status DeleteAll(const Context& ctx, const Plan& plan) const;

  const CniOptions options_;
  const Invoker invoker_;
  const std::unique_ptr<ConfigFolder> folder_;
  MasqueradeRule masquerade_;
  KeyedMutex verbs_;
};

}  // namespace berth::cni

#endif  // CNI_CNI_NETWORK_H_
