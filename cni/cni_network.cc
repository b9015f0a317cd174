#include "cni/cni_network.h"

#include <glog/logging.h>
#include <sched.h>

#include <optional>
#include <utility>

#include "base/failpoint.h"
#include "base/strings.h"
#include "base/sys/namespace.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "cni/plugin/plugin.h"
#include "cni/plugin_config.h"
#include "cni/result.h"

namespace berth::cni {
namespace {

// For taking back a failed ADD, whose own context may have run out.
constexpr Duration kCleanUpLimit = std::chrono::seconds(60);

// Ids become file names and plugin arguments (CNI specification 1.1.0,
// section 2, CNI_CONTAINERID).
Status CheckId(const std::string& id) {
  bool good = !id.empty() && id.size() <= 200 && isalnum(id.front()) != 0;
  for (const char c : id) {
    good = good && (isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' ||
                    c == '.' || c == '-');
  }
  return good ? OkStatus()
              : InvalidArgument("sandbox id " + Quoted(id) +
                                " is no id for a network");
}

// CNI specification 1.1.0, section 2, CNI_IFNAME; the kernel's dev_valid_name.
Status CheckInterface(const std::string& name) {
  bool good = !name.empty() && name.size() <= 15 && name != "." && name != "..";
  for (const char c : name) {
    good = good && isgraph(static_cast<unsigned char>(c)) != 0 && c != '/' &&
           c != ':';
  }
  return good ? OkStatus()
              : InvalidArgument(Quoted(name) + " is no name of an interface");
}

// Of the node's default network, if it is a bridge of our own.
std::optional<FirewalledBridge> DefaultBridge(Networks& networks) {
  const auto list = networks.Find("");
  if (!list.ok() || !(*list)->masquerade.has_value()) return std::nullopt;
  FirewalledBridge bridge;
  bridge.bridge = (*list)->masquerade->interface;
  return bridge;
}

// ParseConfigList has seen to it that there is one.
std::string TypeOf(const Json& plugin) { return plugin.Text("type"); }

}  // namespace

struct CniNetwork::Plan {
  std::string sandbox_id;
  std::string netns;
  std::string interface;
  std::string args;
  Json capabilities;  // everything that plugins may be told, by capability
  ConfigList list;
  Json result;                // of ADD; null while it runs
  bool failed = false;        // ADD did not succeed
  int64_t missing_since = 0;  // when DEL first found no program; 0: it did
  // Of a new attachment to a network that a user has made.
  std::shared_ptr<const UserNetworks::Use> use;
};

CniNetwork::CniNetwork(CniOptions options, MetadataStore& store)
    : options_(std::move(options)),
      plugins_(options_.plugin_folders, options_.plugin_time_limit),
      networks_(std::make_unique<Networks>(options_.config_directory)),
      records_(store),
      user_networks_(store, options_.address_directory,
                     [this] { return DefaultBridge(*networks_); }),
      status_(options_.status_good_for, options_.status_limit) {
  if (options_.old_result_directory.empty()) return;
  const Status taken = records_.TakeOver(options_.old_result_directory, "eth0");
  LOG_IF(WARNING, !taken.ok())
      << "take over network results: " << Message(taken);
}

StatusOr<CniNetwork::Plan> CniNetwork::NewPlan(const Attachment& to) {
  Plan plan;
  plan.sandbox_id = to.sandbox_id;
  plan.netns = to.netns;
  plan.interface = to.interface;
  plan.args = ArgsOf(to);
  plan.capabilities = CapabilitiesOf(to);
  StatusOr<UserNetworks::Use> use = user_networks_.BeginUse(to.network);
  if (use.ok()) {
    ASSIGN_OR_RETURN(plan.list, use->List(!to.ips.empty()));
    plan.use = std::make_shared<const UserNetworks::Use>(*std::move(use));
    return plan;
  }
  ASSIGN_OR_RETURN(const std::shared_ptr<const ConfigList> list,
                   networks_->Find(to.network));
  plan.list = *list;
  return plan;
}

Status CniNetwork::Save(const Plan& plan) {
  const Json saved = {{"netns", plan.netns},
                      {"interface", plan.interface},
                      {"args", plan.args},
                      {"capabilities", plan.capabilities},
                      {"file", plan.list.file},
                      {"list", plan.list.text},
                      {"result", plan.result},
                      {"failed", plan.failed},
                      {"missingSince", plan.missing_since}};
  return records_.Save(plan.sandbox_id, plan.interface, DumpJson(saved));
}

// Of a new attachment: what collects garbage sees it from now on.
Status CniNetwork::Record(const Context& ctx, const Plan& plan) {
  ASSIGN_OR_RETURN_AS(const Gate::Pass pass, recording_.Enter(ctx),
                      "wait for network plugins that collect garbage");
  return Save(plan);
}

// NOT_FOUND if nothing was ever attached.
StatusOr<CniNetwork::Plan> CniNetwork::SavedPlan(const Attachment& of) const {
  const std::string what =
      "network record of sandbox " + of.sandbox_id + ", " + of.interface;
  ASSIGN_OR_RETURN(const std::string text,
                   records_.Load(of.sandbox_id, of.interface));
  ASSIGN_OR_RETURN(const Json json, ParseJson(text, what, kDeepJson));
  Plan plan;
  plan.sandbox_id = of.sandbox_id;
  std::string list_file;
  std::string list;
  JsonReader reader(json, what);
  reader.Get("netns", plan.netns);
  reader.Get("interface", plan.interface);
  reader.Get("args", plan.args);
  reader.Get("file", list_file);
  reader.Get("list", list);
  reader.Get("failed", plan.failed);
  reader.Get("missingSince", plan.missing_since);
  RETURN_IF_ERROR(reader.status());
  if (const Json* found = reader.Find("capabilities")) {
    plan.capabilities = *found;
  }
  if (const Json* found = reader.Find("result")) plan.result = *found;
  ASSIGN_OR_RETURN(plan.list, ParseConfigList(list, list_file));
  return plan;
}

StatusOr<std::set<std::string>> CniNetwork::Attached() const {
  return records_.Sandboxes();
}

StatusOr<Json> CniNetwork::RunOne(const Context& ctx, const Plan& plan,
                                  size_t index, const char* command,
                                  const Json& previous) const {
  const Json& plugin = plan.list.plugins[index];
  ASSIGN_OR_RETURN(const std::shared_ptr<const Plugin> runner,
                   plugins_.Find(TypeOf(plugin)));
  Invocation invocation;
  invocation.command = command;
  invocation.plugin = TypeOf(plugin);
  invocation.container_id = plan.sandbox_id;
  invocation.netns = plan.netns;
  invocation.interface = plan.interface;
  invocation.args = plan.args;
  invocation.config =
      PluginConfig(plan.list, plugin, plan.capabilities, previous);
  return runner->Run(ctx, invocation);
}

StatusOr<Json> CniNetwork::AddAll(const Context& ctx, Plan& plan) const {
  Json result;
  for (size_t i = 0; i < plan.list.plugins.size(); ++i) {
    if (!HasWork(plan.list.plugins[i], plan.capabilities)) continue;
    ASSIGN_OR_RETURN(Json answer, RunOne(ctx, plan, i, "ADD", result));
    if (answer.is_null()) {
      return Internal("network plugin " + Quoted(TypeOf(plan.list.plugins[i])) +
                      ": ADD: it gave no result");
    }
    result = std::move(answer);
    // For the clean-up, should the next one fail.
    plan.result = result;
    RETURN_IF_ERROR(Failpoint("cni.attach.plugin"));
  }
  if (result.is_null()) {
    return FailedPrecondition("network " + Quoted(plan.list.name) +
                              " has no plugin that gives a result");
  }
  return result;
}

Status CniNetwork::EnsureRules(const Context& ctx, const Plan& plan) {
  if (plan.use != nullptr) return plan.use->EnsureRules(ctx);
  if (!plan.list.masquerade.has_value()) return OkStatus();
  return masquerade_.Ensure(ctx, *plan.list.masquerade);
}

// The rules beside the plugins: neither needs the other.
StatusOr<Json> CniNetwork::AddAllAndRules(const Context& ctx, Plan& plan) {
  if (!plan.list.masquerade && !plan.use) return AddAll(ctx, plan);
  Status ruled;
  const auto ensure = [&] { ruled = EnsureRules(ctx, plan); };
  StatusOr<Thread> rules = StartThread("firewall", ensure);
  StatusOr<Json> added = AddAll(ctx, plan);
  if (rules.ok()) {
    rules->Join();
  } else {
    ensure();
  }
  if (added.ok() && !ruled.ok()) return ruled;
  return added;
}

// All of them, last first, whatever happens; the first error is returned.
Status CniNetwork::DeleteAll(const Context& ctx, const Plan& plan) const {
  Status first = OkStatus();
  for (size_t i = plan.list.plugins.size(); i > 0; --i) {
    if (!HasWork(plan.list.plugins[i - 1], plan.capabilities)) continue;
    const Json previous =
        VersionAtLeast(plan.list.cni_version, "0.4.0") ? plan.result : Json();
    const Status status = RunOne(ctx, plan, i - 1, "DEL", previous).status();
    if (first.ok()) {
      first = status;
    } else if (!status.ok()) {
      LOG(WARNING) << "after another failure: " << Message(status);
    }
  }
  return first;
}

StatusOr<std::string> CniNetwork::DefaultList() const {
  ASSIGN_OR_RETURN(const std::shared_ptr<const ConfigList> list,
                   networks_->Find(""));
  return list->text;
}

Status CniNetwork::Ready() const {
  ASSIGN_OR_RETURN(const std::shared_ptr<const ConfigList> list,
                   networks_->Find(""));
  for (const Json& plugin : list->plugins) {
    RETURN_IF_ERROR(plugins_.Find(TypeOf(plugin)).status());
  }
  // STATUS came with 1.1.0.
  if (!VersionAtLeast(list->cni_version, "1.1.0")) return OkStatus();
  return status_.Get(list->text, [this, &list](const Context& ctx) -> Status {
    Plan plan;
    plan.list = *list;
    for (size_t i = 0; i < plan.list.plugins.size(); ++i) {
      RETURN_IF_ERROR(RunOne(ctx, plan, i, "STATUS", Json()).status());
    }
    return OkStatus();
  });
}

StatusOr<NetworkResult> CniNetwork::Attach(const Context& ctx,
                                           const Attachment& to) {
  RETURN_IF_ERROR(CheckId(to.sandbox_id));
  RETURN_IF_ERROR(CheckInterface(to.interface));
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock,
                   verbs_.Acquire(ctx, to.sandbox_id));
  ASSIGN_OR_RETURN(Plan plan, NewPlan(to));
  RETURN_IF_ERROR(OpenNamespace(to.netns, CLONE_NEWNET).status());
  RETURN_IF_ERROR(Record(ctx, plan));
  RETURN_IF_ERROR(Failpoint("cni.attach.recorded"));

  StatusOr<Json> added = AddAllAndRules(ctx, plan);
  StatusOr<NetworkResult> result =
      added.ok() ? ParseResult(*added, plan.interface) : added.status();
  if (added.ok() && !result.ok()) {
    // The plugin's fault, not the request's.
    result = Internal(Message(result.status()));
  }
  if (result.ok() && !to.mac.empty() && Lower(result->mac) != Lower(to.mac)) {
    result = FailedPrecondition("its plugins cannot give the MAC address " +
                                to.mac + ": they gave " + result->mac);
  }
  if (result.ok()) {
    Status saved = Save(plan);
    if (saved.ok()) saved = Failpoint("cni.attach.result");
    if (saved.ok()) {
      result->network = plan.list.name;
      if (plan.use && plan.use->network().internal) {
        for (Address& address : result->addresses) address.gateway.clear();
      }
      return result;
    }
    result = saved;
  }
  TakeBack(ctx, plan);
  return Annotate(result.status(),
                  "attach to network " + Quoted(plan.list.name));
}

void CniNetwork::TakeBack(const Context& ctx, Plan& plan) {
  const Context clean_up =
      Context::Background(ctx.request_id()).WithTimeout(kCleanUpLimit);
  Status undone = DeleteAll(clean_up, plan);
  if (undone.ok()) {
    undone = records_.Forget(plan.sandbox_id, plan.interface);
  } else {
    // So that a later Detach tries once more.
    plan.failed = true;
    const Status saved = Save(plan);
    LOG_IF(WARNING, !saved.ok()) << "save a failed attachment of sandbox "
                                 << plan.sandbox_id << ": " << Message(saved);
  }
  LOG_IF(WARNING, !undone.ok()) << "take back a failed attachment of sandbox "
                                << plan.sandbox_id << ": " << Message(undone);
}

Status CniNetwork::Check(const Context& ctx, const Attachment& to) {
  RETURN_IF_ERROR(CheckId(to.sandbox_id));
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock,
                   verbs_.Acquire(ctx, to.sandbox_id));
  ASSIGN_OR_RETURN_AS(const Plan plan, SavedPlan(to), "check the network");
  if (plan.result.is_null()) {
    return FailedPrecondition("sandbox " + to.sandbox_id +
                              " is not attached to a network");
  }
  // CHECK came with 0.4.0.
  if (plan.list.disable_check ||
      !VersionAtLeast(plan.list.cni_version, "0.4.0")) {
    return OkStatus();
  }
  for (size_t i = 0; i < plan.list.plugins.size(); ++i) {
    if (!HasWork(plan.list.plugins[i], plan.capabilities)) continue;
    RETURN_IF_ERROR(RunOne(ctx, plan, i, "CHECK", plan.result).status());
  }
  return OkStatus();
}

Status CniNetwork::Detach(const Context& ctx, const Attachment& from) {
  RETURN_IF_ERROR(CheckId(from.sandbox_id));
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock,
                   verbs_.Acquire(ctx, from.sandbox_id));
  ASSIGN_OR_RETURN(const std::vector<std::string> interfaces,
                   records_.Interfaces(from.sandbox_id));
  Attachment one = from;
  Status first = OkStatus();
  for (size_t i = interfaces.size(); i > 0; --i) {
    one.interface = interfaces[i - 1];
    const Status status = DetachOne(ctx, one);
    if (first.ok()) {
      first = status;
    } else if (!status.ok()) {
      LOG(WARNING) << "after another failure: " << Message(status);
    }
  }
  return first;
}

Status CniNetwork::DetachInterface(const Context& ctx, const Attachment& from) {
  RETURN_IF_ERROR(CheckId(from.sandbox_id));
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock,
                   verbs_.Acquire(ctx, from.sandbox_id));
  const Status there = records_.Load(from.sandbox_id, from.interface).status();
  if (IsNotFound(there)) return OkStatus();
  RETURN_IF_ERROR(there);
  return DetachOne(ctx, from);
}

Status CniNetwork::ForEachRecord(const EachPlan& action) const {
  ASSIGN_OR_RETURN(const auto records, records_.All());
  for (const AttachmentStore::Record& record : records) {
    Attachment of;
    of.sandbox_id = record.sandbox_id;
    of.interface = record.interface;
    action(record, SavedPlan(of));
  }
  return OkStatus();
}

// Those with a record that can be read.
StatusOr<std::set<std::string>> CniNetwork::NetworksInUse() const {
  std::set<std::string> names;
  RETURN_IF_ERROR(ForEachRecord([&](const auto&, const StatusOr<Plan>& plan) {
    if (plan.ok()) names.insert(plan->list.name);
  }));
  return names;
}

// A record that cannot be read counts for every network, one of what could not
// be attached for none.
StatusOr<Json> CniNetwork::ValidAttachments(const std::string& network) const {
  Json valid = Json::array();
  RETURN_IF_ERROR(ForEachRecord(
      [&](const AttachmentStore::Record& record, const StatusOr<Plan>& plan) {
        if (plan.ok() && (plan->failed || plan->list.name != network)) return;
        valid.push_back(
            {{"containerID", record.sandbox_id}, {"ifname", record.interface}});
      }));
  return valid;
}

Status CniNetwork::CollectGarbageOf(const Context& ctx,
                                    const ConfigList& list) {
  // An attachment made from here on would not be among the valid ones.
  ASSIGN_OR_RETURN(const Gate::Pass alone, recording_.BeAlone(ctx));
  Plan plan;
  plan.list = list;
  ASSIGN_OR_RETURN(const Json valid, ValidAttachments(list.name));
  Status first = OkStatus();
  for (size_t i = 0; i < plan.list.plugins.size(); ++i) {
    plan.list.plugins[i]["cni.dev/valid-attachments"] = valid;
    const Status status = RunOne(ctx, plan, i, "GC", Json()).status();
    if (first.ok()) first = status;
  }
  return first;
}

Status CniNetwork::CollectGarbage(const Context& ctx) {
  Status first = OkStatus();
  ASSIGN_OR_RETURN(std::set<std::string> ours, NetworksInUse());
  const auto default_list = networks_->Find("");
  if (default_list.ok()) ours.insert((*default_list)->name);
  for (const auto& list : networks_->All()) {
    // GC came with 1.1.0. Where we attach nothing, another may: its own would
    // all be garbage by our records.
    if (list->disable_gc || !VersionAtLeast(list->cni_version, "1.1.0") ||
        ours.count(list->name) == 0) {
      continue;
    }
    const Status status = Annotate(
        CollectGarbageOf(ctx.WithTimeout(options_.collect_limit), *list),
        "collect garbage of network " + Quoted(list->name));
    if (first.ok()) {
      first = status;
    } else if (!status.ok()) {
      LOG(WARNING) << "after another failure: " << Message(status);
    }
  }
  return first;
}

Status CniNetwork::DetachOne(const Context& ctx, const Attachment& from) {
  StatusOr<Plan> plan = SavedPlan(from);
  if (!plan.ok()) {
    // A damaged record must not keep a sandbox from being removed: today's
    // configuration is the best guess at yesterday's.
    LOG(WARNING) << "detach sandbox " << from.sandbox_id << ": "
                 << Message(plan.status());
    plan = NewPlan(from);
    if (!plan.ok()) return records_.Forget(from.sandbox_id, from.interface);
  }
  // A namespace that is gone is passed as none; plugins then give back what is
  // kept elsewhere (CNI specification 1.1.0, section 2, DEL).
  if (!OpenNamespace(plan->netns, CLONE_NEWNET).ok()) plan->netns.clear();
  return Annotate(DeleteOrLetGo(ctx, *plan),
                  "detach from network " + Quoted(plan->list.name));
}

// If this node can run all of it.
bool CniNetwork::TakeTodaysList(Plan& plan) const {
  auto today = networks_->Find(plan.list.name);
  if (!today.ok()) today = networks_->Find("");
  if (!today.ok()) return false;
  for (const Json& plugin : (*today)->plugins) {
    if (!plugins_.Find(TypeOf(plugin)).ok()) return false;
  }
  plan.list = **today;
  return true;
}

Status CniNetwork::DeleteOrLetGo(const Context& ctx, Plan& plan) {
  for (const Json& plugin : plan.list.plugins) {
    const Status found = plugins_.Find(TypeOf(plugin)).status();
    if (found.ok() || !HasWork(plugin, plan.capabilities)) continue;
    if (plan.failed || TakeTodaysList(plan)) break;
    if (plan.missing_since == 0) {
      plan.missing_since = Now();
      RETURN_IF_ERROR(Save(plan));
    }
    if (Duration(Now() - plan.missing_since) <
        options_.missing_plugin_patience) {
      return found;
    }
    LOG(WARNING) << "sandbox " << plan.sandbox_id
                 << " goes without being detached from network "
                 << Quoted(plan.list.name) << ": " << Message(found);
    return OkStatus();
  }
  const Status deleted = DeleteAll(ctx, plan);
  if (!deleted.ok()) {
    // What the request's end cut off is not the plugin's last word.
    if (!plan.failed || !ctx.Check().ok()) return deleted;
    LOG(WARNING) << "sandbox " << plan.sandbox_id
                 << " was never attached, and goes though detaching it from "
                    "network "
                 << Quoted(plan.list.name) << " fails: " << Message(deleted);
    return OkStatus();
  }
  RETURN_IF_ERROR(Failpoint("cni.detach.deleted"));
  return records_.Forget(plan.sandbox_id, plan.interface);
}

}  // namespace berth::cni
