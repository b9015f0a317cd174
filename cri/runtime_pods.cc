#include <algorithm>
#include <optional>

#include "base/strings.h"
#include "cri/chunk.h"
#include "cri/info/verbose_info.h"
#include "cri/runtime_service.h"

namespace berth::cri {
namespace {

using sandbox::SandboxId;
using sandbox::SandboxStatus;

bool IsFullId(const std::string& id) { return id.size() == 64; }

}  // namespace

const PodExtras& RuntimeService::ExtrasOf(const std::string& handler) const {
  static const auto& none = *new PodExtras;
  const auto found = facts_.extras.find(handler);
  return found == facts_.extras.end() ? none : found->second;
}

StatusOr<SandboxStatus> RuntimeService::FindPod(const std::string& id) const {
  if (id.empty()) return InvalidArgument("pod_sandbox_id: is missing");
  return parts_.inventory.Sandbox(id, state::v1::SANDBOX_KIND_POD);
}

// The id to stop or remove. One that is not listed may still be in the making,
// so a full id is left to the manager; a prefix that fits nothing is NOT_FOUND.
StatusOr<SandboxId> RuntimeService::PodToEnd(const std::string& id) const {
  const StatusOr<SandboxStatus> pod = FindPod(id);
  if (pod.ok()) return SandboxId((*pod)->id());
  if (IsNotFound(pod.status()) && IsFullId(id) &&
      IsNotFound(parts_.inventory.Sandbox(id).status())) {
    return SandboxId(id);
  }
  return pod.status();
}

std::vector<sandbox::ContainerStatus> RuntimeService::ContainersOf(
    const std::string& sandbox_id) const {
  sandbox::ContainerFilter filter;
  filter.sandbox_id_or_prefix = sandbox_id;
  return parts_.inventory.Containers(filter);
}

StatusOr<v1::RunPodSandboxResponse> RuntimeService::RunPodSandbox(
    const Context& ctx, const v1::RunPodSandboxRequest& request) {
  const std::string& handler = request.runtime_handler();
  const auto& known = facts_.handlers;
  if (!handler.empty() &&
      std::find(known.begin(), known.end(), handler) == known.end()) {
    return InvalidArgument("runtime_handler: there is no " + Quoted(handler));
  }
  ASSIGN_OR_RETURN(state::v1::SandboxConfig config,
                   FromPodConfig(request.config(), handler));
  RETURN_IF_ERROR(AddExtras(ExtrasOf(handler), config));
  ASSIGN_OR_RETURN(const SandboxId id, parts_.sandboxes.Run(ctx, config));
  v1::RunPodSandboxResponse response;
  response.set_pod_sandbox_id(id.str());
  return response;
}

StatusOr<v1::StopPodSandboxResponse> RuntimeService::StopPodSandbox(
    const Context& ctx, const v1::StopPodSandboxRequest& request) {
  const StatusOr<SandboxId> id = PodToEnd(request.pod_sandbox_id());
  RETURN_IF_ERROR(IgnoreNotFound(id.status()));
  if (id.ok()) RETURN_IF_ERROR(parts_.sandboxes.Stop(ctx, *id));
  return v1::StopPodSandboxResponse();
}

StatusOr<v1::RemovePodSandboxResponse> RuntimeService::RemovePodSandbox(
    const Context& ctx, const v1::RemovePodSandboxRequest& request) {
  const StatusOr<SandboxId> id = PodToEnd(request.pod_sandbox_id());
  RETURN_IF_ERROR(IgnoreNotFound(id.status()));
  if (id.ok()) RETURN_IF_ERROR(parts_.sandboxes.Remove(ctx, *id));
  return v1::RemovePodSandboxResponse();
}

StatusOr<v1::PodSandboxStatusResponse> RuntimeService::PodSandboxStatus(
    const Context&, const v1::PodSandboxStatusRequest& request) {
  ASSIGN_OR_RETURN(const SandboxStatus pod, FindPod(request.pod_sandbox_id()));
  v1::PodSandboxStatusResponse response;
  *response.mutable_status() = ToPodStatus(*pod);
  // The timestamp stays unset: kubelet takes what has one for older than the
  // events that it got meanwhile, and starts init containers over and over. It
  // asks for each container then.
  for (const sandbox::ContainerStatus& container : ContainersOf(pod->id())) {
    *response.add_containers_statuses() = ToContainerStatus(*container);
  }
  if (request.verbose()) {
    (*response.mutable_info())["info"] = PodInfo(*pod, ContainersOf(pod->id()));
  }
  return response;
}

StatusOr<v1::ListPodSandboxResponse> RuntimeService::ListPodSandbox(
    const Context&, const v1::ListPodSandboxRequest& request) {
  v1::ListPodSandboxResponse response;
  for (const SandboxStatus& pod :
       parts_.inventory.Sandboxes(FromFilter(request.filter()))) {
    *response.add_items() = ToPod(*pod);
  }
  return response;
}

Status RuntimeService::StreamPodSandboxes(
    const Context&, const v1::StreamPodSandboxesRequest& request,
    const Sink<v1::StreamPodSandboxesResponse>& sink) {
  std::vector<v1::PodSandbox> pods;
  for (const SandboxStatus& pod :
       parts_.inventory.Sandboxes(FromFilter(request.filter()))) {
    pods.push_back(ToPod(*pod));
  }
  return SendInChunks<v1::StreamPodSandboxesResponse, v1::PodSandbox>(
      pods, [](auto& m, const auto& pod) { *m.add_pod_sandboxes() = pod; },
      sink);
}

StatusOr<v1::UpdatePodSandboxResourcesResponse>
RuntimeService::UpdatePodSandboxResources(
    const Context& ctx, const v1::UpdatePodSandboxResourcesRequest& request) {
  ASSIGN_OR_RETURN(const SandboxStatus pod, FindPod(request.pod_sandbox_id()));
  std::optional<state::v1::Resources> overhead;
  std::optional<state::v1::Resources> resources;
  if (request.has_overhead()) {
    ASSIGN_OR_RETURN(overhead, FromResources(request.overhead(), "overhead"));
  }
  if (request.has_resources()) {
    ASSIGN_OR_RETURN(resources,
                     FromResources(request.resources(), "resources"));
  }
  RETURN_IF_ERROR(
      parts_.sandboxes.Update(ctx, SandboxId(pod->id()), overhead, resources));
  return v1::UpdatePodSandboxResourcesResponse();
}

}  // namespace berth::cri
