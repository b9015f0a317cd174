#include "base/clock.h"
#include "cri/chunk.h"
#include "cri/runtime_service.h"
#include "cri/usage/convert.h"

namespace berth::cri {

using sandbox::UsageStats;

// A container that ends while it is asked about has attributes and no usage.
v1::ContainerStats RuntimeService::StatsOf(
    const sandbox::ContainerRecord& record) {
  v1::ContainerStats stats;
  *stats.mutable_attributes() = ToAttributes(record);
  const StatusOr<UsageStats> usage = parts_.stats.Container(record);
  if (usage.ok()) {
    *stats.mutable_cpu() = ToCpu(*usage);
    *stats.mutable_memory() = ToMemory(*usage);
    *stats.mutable_swap() = ToSwap(*usage);
    if (auto io = ToIo(*usage)) *stats.mutable_io() = *std::move(io);
  }
  const StatusOr<v1::FilesystemUsage> layer =
      parts_.writable_layer(record.snapshot_key());
  if (layer.ok()) *stats.mutable_writable_layer() = *layer;
  return stats;
}

v1::PodSandboxStats RuntimeService::StatsOf(
    const sandbox::SandboxRecord& record) {
  v1::PodSandboxStats stats;
  *stats.mutable_attributes() = ToAttributes(record);
  if (record.phase() != state::v1::SANDBOX_PHASE_READY) return stats;
  v1::LinuxPodSandboxStats& usage_of_pod = *stats.mutable_linux();
  const std::vector<sandbox::ContainerStatus> containers =
      ContainersOf(record.id());
  const StatusOr<UsageStats> usage = parts_.stats.Sandbox(record, containers);
  if (usage.ok()) {
    *usage_of_pod.mutable_cpu() = ToCpu(*usage);
    *usage_of_pod.mutable_memory() = ToMemory(*usage);
    if (auto io = ToIo(*usage)) *usage_of_pod.mutable_io() = *std::move(io);
    usage_of_pod.mutable_process()->set_timestamp(usage->time);
    usage_of_pod.mutable_process()->mutable_process_count()->set_value(
        usage->cgroup.pids);
  }
  const StatusOr<std::vector<sandbox::InterfaceStats>> interfaces =
      parts_.stats.Interfaces(record);
  if (interfaces.ok() && !interfaces->empty()) {
    *usage_of_pod.mutable_network() = ToNetwork(Now(), *interfaces);
  }
  for (const sandbox::ContainerStatus& container : containers) {
    if (ToState(container->phase()) != v1::CONTAINER_RUNNING) continue;
    *usage_of_pod.add_containers() = StatsOf(*container);
  }
  return stats;
}

StatusOr<v1::ContainerStatsResponse> RuntimeService::ContainerStats(
    const Context&, const v1::ContainerStatsRequest& request) {
  ASSIGN_OR_RETURN(const sandbox::ContainerStatus container,
                   FindContainer(request.container_id()));
  v1::ContainerStatsResponse response;
  *response.mutable_stats() = StatsOf(*container);
  return response;
}

StatusOr<v1::ListContainerStatsResponse> RuntimeService::ListContainerStats(
    const Context&, const v1::ListContainerStatsRequest& request) {
  v1::ListContainerStatsResponse response;
  for (const sandbox::ContainerStatus& container :
       parts_.inventory.Containers(FromFilter(request.filter()))) {
    *response.add_stats() = StatsOf(*container);
  }
  return response;
}

Status RuntimeService::StreamContainerStats(
    const Context&, const v1::StreamContainerStatsRequest& request,
    const Sink<v1::StreamContainerStatsResponse>& sink) {
  std::vector<v1::ContainerStats> all;
  for (const sandbox::ContainerStatus& container :
       parts_.inventory.Containers(FromFilter(request.filter()))) {
    all.push_back(StatsOf(*container));
  }
  return SendInChunks<v1::StreamContainerStatsResponse, v1::ContainerStats>(
      all, [](auto& m, const auto& s) { *m.add_container_stats() = s; }, sink);
}

StatusOr<v1::PodSandboxStatsResponse> RuntimeService::PodSandboxStats(
    const Context&, const v1::PodSandboxStatsRequest& request) {
  ASSIGN_OR_RETURN(const sandbox::SandboxStatus pod,
                   FindPod(request.pod_sandbox_id()));
  v1::PodSandboxStatsResponse response;
  *response.mutable_stats() = StatsOf(*pod);
  return response;
}

StatusOr<v1::ListPodSandboxStatsResponse> RuntimeService::ListPodSandboxStats(
    const Context&, const v1::ListPodSandboxStatsRequest& request) {
  v1::ListPodSandboxStatsResponse response;
  sandbox::SandboxFilter filter = FromFilter(request.filter());
  filter.ready = true;
  for (const sandbox::SandboxStatus& pod : parts_.inventory.Sandboxes(filter)) {
    *response.add_stats() = StatsOf(*pod);
  }
  return response;
}

Status RuntimeService::StreamPodSandboxStats(
    const Context&, const v1::StreamPodSandboxStatsRequest& request,
    const Sink<v1::StreamPodSandboxStatsResponse>& sink) {
  std::vector<v1::PodSandboxStats> all;
  sandbox::SandboxFilter filter = FromFilter(request.filter());
  filter.ready = true;
  for (const sandbox::SandboxStatus& pod : parts_.inventory.Sandboxes(filter)) {
    all.push_back(StatsOf(*pod));
  }
  return SendInChunks<v1::StreamPodSandboxStatsResponse, v1::PodSandboxStats>(
      all, [](auto& m, const auto& s) { *m.add_pod_sandbox_stats() = s; },
      sink);
}

}  // namespace berth::cri
