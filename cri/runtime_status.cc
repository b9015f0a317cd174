#include "base/json.h"
#include "cri/info/verbose_info.h"
#include "cri/runtime_service.h"

namespace berth::cri {
namespace {

// The versions that every runtime of the field answers; clients compare them.
constexpr char kKubeletApiVersion[] = "0.1.0";
constexpr char kRuntimeName[] = "berth";
constexpr char kRuntimeApiVersion[] = "v1";

void AddCondition(v1::RuntimeStatus& status, const std::string& type,
                  const Status& state, const std::string& reason) {
  v1::RuntimeCondition& condition = *status.add_conditions();
  condition.set_type(type);
  condition.set_status(state.ok());
  if (state.ok()) return;
  condition.set_reason(reason);
  condition.set_message(Message(state));
}

}  // namespace

RuntimeService::RuntimeService(RuntimeFacts facts, RuntimeParts parts)
    : facts_(std::move(facts)), parts_(std::move(parts)) {}

StatusOr<v1::VersionResponse> RuntimeService::Version(
    const Context&, const v1::VersionRequest&) {
  v1::VersionResponse response;
  response.set_version(kKubeletApiVersion);
  response.set_runtime_name(kRuntimeName);
  response.set_runtime_version(facts_.version);
  response.set_runtime_api_version(kRuntimeApiVersion);
  return response;
}

StatusOr<v1::StatusResponse> RuntimeService::GetStatus(
    const Context&, const v1::StatusRequest& request) {
  v1::StatusResponse response;
  AddCondition(*response.mutable_status(), "RuntimeReady", OkStatus(), "");
  const Status network = parts_.network_ready();
  AddCondition(*response.mutable_status(), "NetworkReady", network,
               "NetworkPluginNotReady");
  // The default goes by the empty name, and first.
  std::vector<std::string> names = {""};
  names.insert(names.end(), facts_.handlers.begin(), facts_.handlers.end());
  for (const std::string& name : names) {
    v1::RuntimeHandler& handler = *response.add_runtime_handlers();
    handler.set_name(name);
    handler.mutable_features()->set_recursive_read_only_mounts(
        facts_.recursive_read_only_mounts);
    handler.mutable_features()->set_user_namespaces(
        facts_.user_namespaces.count(name) > 0);
    handler.mutable_features()->set_cgroup_namespaces(facts_.cgroup_namespaces);
  }
  response.mutable_features()->set_supplemental_groups_policy(true);
  response.mutable_features()->set_mount_options(true);
  response.mutable_features()->set_cgroup_mount_mode(true);
  response.mutable_features()->set_seccomp_profile_oci(true);
  if (request.verbose()) {
    // stateDir: critest looks beside it for what the file system of root file
    // systems can do.
    (*response.mutable_info())["config"] =
        DumpJson(Json{{"stateDir", facts_.root + "/containers"},
                      {"runDir", facts_.state},
                      {"rootDir", facts_.root},
                      {"apparmorProfile", facts_.apparmor_profile},
                      {"systemdCgroup", facts_.systemd_cgroup},
                      {"file", facts_.config}});
    (*response.mutable_info())["cniconfig"] =
        NetworkInfo(facts_.network_folder, facts_.plugin_folders,
                    parts_.network_list().value_or(""));
    (*response.mutable_info())["lastCNILoadStatus"] =
        DumpJson(Json(network.ok() ? "OK" : Message(network)));
    ASSIGN_OR_RETURN(const std::vector<std::string> set_aside,
                     parts_.records_set_aside());
    (*response.mutable_info())["recordsSetAside"] = DumpJson(Json(set_aside));
  }
  return response;
}

StatusOr<v1::RuntimeConfigResponse> RuntimeService::RuntimeConfig(
    const Context&, const v1::RuntimeConfigRequest&) {
  v1::RuntimeConfigResponse response;
  response.mutable_linux()->set_cgroup_driver(
      facts_.systemd_cgroup ? v1::SYSTEMD : v1::CGROUPFS);
  return response;
}

// The pod CIDR is for runtimes that write a CNI configuration from a template;
// ours has its subnet from its own configuration. The interface wants OK.
StatusOr<v1::UpdateRuntimeConfigResponse> RuntimeService::UpdateRuntimeConfig(
    const Context&, const v1::UpdateRuntimeConfigRequest&) {
  return v1::UpdateRuntimeConfigResponse();
}

}  // namespace berth::cri
