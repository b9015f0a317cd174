#ifndef CRI_RUNTIME_SERVICE_H_
#define CRI_RUNTIME_SERVICE_H_

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/cri/v1/api.pb.h"
#include "base/context.h"
#include "base/status.h"
#include "cri/convert.h"
#include "cri/pod_extras.h"
#include "cri/streaming/stream_tokens.h"
#include "sandbox/container_manager.h"
#include "sandbox/container_streams.h"
#include "sandbox/event_bus.h"
#include "sandbox/inventory.h"
#include "sandbox/sandbox_manager.h"
#include "sandbox/usage/stats.h"

namespace berth::cri {

// What the runtime can do, as it tells its clients.
struct RuntimeFacts {
  std::string version;  // ours, "0.1.0"
  // Names that a pod may give as its runtime handler, besides none.
  std::vector<std::string> handlers;
  std::map<std::string, PodExtras> extras;  // by handler, "" too
  bool recursive_read_only_mounts = false;
  bool cgroup_namespaces = false;
  // The handlers that can run pods in user namespaces; "" is the default.
  std::set<std::string> user_namespaces;
  bool systemd_cgroup = false;
  // AppArmor's for containers that name none; empty: they have none.
  std::string apparmor_profile;
  std::string config;  // the daemon's, every setting, as text
  std::string network_folder;
  std::vector<std::string> plugin_folders;
  std::string root;  // folders, for those who look into them
  std::string state;
  // Bytes of ExecSync output that are kept of each stream.
  size_t exec_sync_output = 16u << 20;
};

// What it acts through. All must outlive it.
struct RuntimeParts {
  sandbox::SandboxManager& sandboxes;
  sandbox::ContainerManager& containers;
  sandbox::ContainerStreams streams;
  const sandbox::Inventory& inventory;
  sandbox::EventBus& events;
  sandbox::StatsReader& stats;
  ImageResolver resolve_image;
  // The JSON of a seccomp profile that was pulled, by a name with its digest.
  std::function<StatusOr<std::string>(const std::string& name)> profile;
  // Bytes and inodes of a container's writable layer, by its snapshot key.
  std::function<StatusOr<v1::FilesystemUsage>(const std::string& key)>
      writable_layer;
  // OK, or why pods cannot get a network yet.
  std::function<Status()> network_ready;
  // The text of the default network's list.
  std::function<StatusOr<std::string>()> network_list;
  // Where a client gets the streams of a request that has been checked.
  std::function<StatusOr<std::string>(StreamRequest request)> stream_url;
  // Records that nobody can read, as "table/key".
  std::function<StatusOr<std::vector<std::string>>()> records_set_aside;
};

// RuntimeService of the CRI without its transport: each verb converts, calls
// the managers or asks the inventory, and converts back. It decides nothing
// and keeps nothing. Errors have the code that clients act on
// (door/grpc/grpc_status.h); an unknown id is OK for Stop and Remove and
// NOT_FOUND for all others. Every id may be a unique prefix.
//
// Thread-safe.
class RuntimeService {
 public:
  // Sends one message of an answering stream; an error ends the stream.
  template <typename Message>
  using Sink = std::function<Status(const Message&)>;

  RuntimeService(RuntimeFacts facts, RuntimeParts parts);

  // ---- The runtime as a whole (runtime_status.cc) ----
  StatusOr<v1::VersionResponse> Version(const Context& ctx,
                                        const v1::VersionRequest& request);
  StatusOr<v1::StatusResponse> GetStatus(const Context& ctx,
                                         const v1::StatusRequest& request);
  StatusOr<v1::RuntimeConfigResponse> RuntimeConfig(
      const Context& ctx, const v1::RuntimeConfigRequest& request);
  StatusOr<v1::UpdateRuntimeConfigResponse> UpdateRuntimeConfig(
      const Context& ctx, const v1::UpdateRuntimeConfigRequest& request);

  // ---- Pods (runtime_pods.cc) ----
  StatusOr<v1::RunPodSandboxResponse> RunPodSandbox(
      const Context& ctx, const v1::RunPodSandboxRequest& request);
  StatusOr<v1::StopPodSandboxResponse> StopPodSandbox(
      const Context& ctx, const v1::StopPodSandboxRequest& request);
  StatusOr<v1::RemovePodSandboxResponse> RemovePodSandbox(
      const Context& ctx, const v1::RemovePodSandboxRequest& request);
  StatusOr<v1::PodSandboxStatusResponse> PodSandboxStatus(
      const Context& ctx, const v1::PodSandboxStatusRequest& request);
  StatusOr<v1::ListPodSandboxResponse> ListPodSandbox(
      const Context& ctx, const v1::ListPodSandboxRequest& request);
  Status StreamPodSandboxes(const Context& ctx,
                            const v1::StreamPodSandboxesRequest& request,
                            const Sink<v1::StreamPodSandboxesResponse>& sink);
  StatusOr<v1::UpdatePodSandboxResourcesResponse> UpdatePodSandboxResources(
      const Context& ctx, const v1::UpdatePodSandboxResourcesRequest& request);

  // ---- Containers (runtime_containers.cc) ----
  StatusOr<v1::CreateContainerResponse> CreateContainer(
      const Context& ctx, const v1::CreateContainerRequest& request);
  StatusOr<v1::StartContainerResponse> StartContainer(
      const Context& ctx, const v1::StartContainerRequest& request);
  StatusOr<v1::StopContainerResponse> StopContainer(
      const Context& ctx, const v1::StopContainerRequest& request);
  StatusOr<v1::RemoveContainerResponse> RemoveContainer(
      const Context& ctx, const v1::RemoveContainerRequest& request);
  StatusOr<v1::ContainerStatusResponse> ContainerStatus(
      const Context& ctx, const v1::ContainerStatusRequest& request);
  StatusOr<v1::ListContainersResponse> ListContainers(
      const Context& ctx, const v1::ListContainersRequest& request);
  Status StreamContainers(const Context& ctx,
                          const v1::StreamContainersRequest& request,
                          const Sink<v1::StreamContainersResponse>& sink);
  StatusOr<v1::UpdateContainerResourcesResponse> UpdateContainerResources(
      const Context& ctx, const v1::UpdateContainerResourcesRequest& request);
  StatusOr<v1::ReopenContainerLogResponse> ReopenContainerLog(
      const Context& ctx, const v1::ReopenContainerLogRequest& request);
  StatusOr<v1::ExecSyncResponse> ExecSync(const Context& ctx,
                                          const v1::ExecSyncRequest& request);
  // The pod of a container, for sharing; the given id if it is not known.
  std::string PodOf(const std::string& container_id) const;

  // ---- Streams (runtime_streaming.cc) ----
  StatusOr<v1::ExecResponse> Exec(const Context& ctx,
                                  const v1::ExecRequest& request);
  StatusOr<v1::AttachResponse> Attach(const Context& ctx,
                                      const v1::AttachRequest& request);
  StatusOr<v1::PortForwardResponse> PortForward(
      const Context& ctx, const v1::PortForwardRequest& request);

  // ---- Events (runtime_events.cc) ----
  Status GetContainerEvents(const Context& ctx,
                            const v1::GetEventsRequest& request,
                            const Sink<v1::ContainerEventResponse>& sink);

  // ---- Statistics (runtime_stats.cc) ----
  StatusOr<v1::ContainerStatsResponse> ContainerStats(
      const Context& ctx, const v1::ContainerStatsRequest& request);
  StatusOr<v1::ListContainerStatsResponse> ListContainerStats(
      const Context& ctx, const v1::ListContainerStatsRequest& request);
  Status StreamContainerStats(
      const Context& ctx, const v1::StreamContainerStatsRequest& request,
      const Sink<v1::StreamContainerStatsResponse>& sink);
  StatusOr<v1::PodSandboxStatsResponse> PodSandboxStats(
      const Context& ctx, const v1::PodSandboxStatsRequest& request);
  StatusOr<v1::ListPodSandboxStatsResponse> ListPodSandboxStats(
      const Context& ctx, const v1::ListPodSandboxStatsRequest& request);
  Status StreamPodSandboxStats(
      const Context& ctx, const v1::StreamPodSandboxStatsRequest& request,
      const Sink<v1::StreamPodSandboxStatsResponse>& sink);

  // ---- Metrics (runtime_metrics.cc) ----
  StatusOr<v1::ListMetricDescriptorsResponse> ListMetricDescriptors(
      const Context& ctx, const v1::ListMetricDescriptorsRequest& request);
  StatusOr<v1::ListPodSandboxMetricsResponse> ListPodSandboxMetrics(
      const Context& ctx, const v1::ListPodSandboxMetricsRequest& request);
  Status StreamPodSandboxMetrics(
      const Context& ctx, const v1::StreamPodSandboxMetricsRequest& request,
      const Sink<v1::StreamPodSandboxMetricsResponse>& sink);

 private:
  // Pods alone: what another door has made is NOT_FOUND here.
  const PodExtras& ExtrasOf(const std::string& handler) const;
  StatusOr<sandbox::SandboxStatus> FindPod(const std::string& id) const;
  StatusOr<sandbox::ContainerStatus> FindContainer(const std::string& id) const;
  StatusOr<sandbox::SandboxId> PodToEnd(const std::string& id) const;
  StatusOr<sandbox::ContainerId> ContainerToEnd(const std::string& id) const;
  std::vector<sandbox::ContainerStatus> ContainersOf(
      const std::string& sandbox_id) const;

  v1::ContainerStats StatsOf(const sandbox::ContainerRecord& record);
  v1::PodSandboxStats StatsOf(const sandbox::SandboxRecord& record);
  v1::ContainerMetrics MetricsOfContainer(
      const sandbox::SandboxRecord& pod,
      const sandbox::ContainerRecord& container);
  v1::PodSandboxMetrics MetricsOfPod(const sandbox::SandboxRecord& pod);
  // Of all pods that are ready.
  StatusOr<std::vector<v1::PodSandboxMetrics>> AllMetrics(const Context& ctx);

  const RuntimeFacts facts_;
  const RuntimeParts parts_;
};

}  // namespace berth::cri

#endif  // CRI_RUNTIME_SERVICE_H_
