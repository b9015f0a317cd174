#include <optional>
#include <utility>

#include "base/clock.h"
#include "cri/chunk.h"
#include "cri/metrics/metric_table.h"
#include "cri/runtime_service.h"

namespace berth::cri {
namespace {

using sandbox::FileSystemStats;

MetricSource SourceOf(const sandbox::SandboxRecord& pod) {
  MetricSource source;
  source.pod = pod.config().metadata().name();
  source.namespace_of_pod = pod.config().metadata().namespace_();
  source.id = pod.cgroup().pod_path();
  source.name = pod.id();
  source.now = Now();
  source.started_at = pod.created_at();
  return source;
}

MetricSource SourceOf(const sandbox::SandboxRecord& pod,
                      const sandbox::ContainerRecord& container) {
  MetricSource source = SourceOf(pod);
  source.container = container.config().name();
  source.image = ToContainerStatus(container).image().image();
  source.id = container.cgroup();
  source.name = container.id();
  source.started_at = container.started_at();
  source.cpu_shares =
      static_cast<uint64_t>(container.config().resources().cpu_shares());
  return source;
}

template <typename T>
std::optional<T> IfRead(StatusOr<T> value) {
  if (!value.ok()) return std::nullopt;
  return *std::move(value);
}

}  // namespace

// What cannot be read, because the container ends meanwhile, is left out.
v1::ContainerMetrics RuntimeService::MetricsOfContainer(
    const sandbox::SandboxRecord& pod,
    const sandbox::ContainerRecord& container) {
  MetricSource source = SourceOf(pod, container);
  auto usage = parts_.stats.Container(container);
  if (usage.ok()) source.cgroup = std::move(usage->cgroup);
  source.processes = IfRead(parts_.stats.Processes(container));
  const auto layer = parts_.writable_layer(container.snapshot_key());
  if (layer.ok()) {
    const StatusOr<FileSystemStats> disk =
        sandbox::ReadFileSystem(layer->fs_id().mountpoint());
    if (disk.ok()) {
      source.layer = LayerUsage{.device = disk->device,
                                .bytes = layer->used_bytes().value(),
                                .limit = disk->bytes,
                                .inodes = disk->inodes,
                                .inodes_free = disk->inodes_free};
    }
  }
  v1::ContainerMetrics metrics;
  metrics.set_container_id(container.id());
  *metrics.mutable_metrics() = MetricsOf(source);
  return metrics;
}

v1::PodSandboxMetrics RuntimeService::MetricsOfPod(
    const sandbox::SandboxRecord& pod) {
  const std::vector<sandbox::ContainerStatus> containers =
      ContainersOf(pod.id());
  MetricSource source = SourceOf(pod);
  auto usage = parts_.stats.Sandbox(pod, containers);
  if (usage.ok()) source.cgroup = std::move(usage->cgroup);
  auto interfaces = parts_.stats.Interfaces(pod);
  if (interfaces.ok()) source.interfaces = *std::move(interfaces);
  v1::PodSandboxMetrics metrics;
  metrics.set_pod_sandbox_id(pod.id());
  *metrics.mutable_metrics() = MetricsOf(source);
  for (const sandbox::ContainerStatus& container : containers) {
    if (ToState(container->phase()) != v1::CONTAINER_RUNNING) continue;
    *metrics.add_container_metrics() = MetricsOfContainer(pod, *container);
  }
  return metrics;
}

StatusOr<std::vector<v1::PodSandboxMetrics>> RuntimeService::AllMetrics(
    const Context& ctx) {
  sandbox::SandboxFilter ready;
  ready.kind = state::v1::SANDBOX_KIND_POD;
  ready.ready = true;
  std::vector<v1::PodSandboxMetrics> all;
  for (const sandbox::SandboxStatus& pod : parts_.inventory.Sandboxes(ready)) {
    RETURN_IF_ERROR(ctx.Check());
    all.push_back(MetricsOfPod(*pod));
  }
  return all;
}

StatusOr<v1::ListMetricDescriptorsResponse>
RuntimeService::ListMetricDescriptors(const Context&,
                                      const v1::ListMetricDescriptorsRequest&) {
  v1::ListMetricDescriptorsResponse response;
  for (v1::MetricDescriptor& descriptor : MetricDescriptors()) {
    *response.add_descriptors() = std::move(descriptor);
  }
  return response;
}

StatusOr<v1::ListPodSandboxMetricsResponse>
RuntimeService::ListPodSandboxMetrics(const Context& ctx,
                                      const v1::ListPodSandboxMetricsRequest&) {
  ASSIGN_OR_RETURN(std::vector<v1::PodSandboxMetrics> all, AllMetrics(ctx));
  v1::ListPodSandboxMetricsResponse response;
  for (v1::PodSandboxMetrics& pod : all) {
    *response.add_pod_metrics() = std::move(pod);
  }
  return response;
}

Status RuntimeService::StreamPodSandboxMetrics(
    const Context& ctx, const v1::StreamPodSandboxMetricsRequest&,
    const Sink<v1::StreamPodSandboxMetricsResponse>& sink) {
  ASSIGN_OR_RETURN(const std::vector<v1::PodSandboxMetrics> all,
                   AllMetrics(ctx));
  return SendInChunks<v1::StreamPodSandboxMetricsResponse,
                      v1::PodSandboxMetrics>(
      all, [](auto& m, const auto& pod) { *m.add_pod_sandbox_metrics() = pod; },
      sink);
}

}  // namespace berth::cri
