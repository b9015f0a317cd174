#include <algorithm>

#include "base/strings.h"
#include "cri/chunk.h"
#include "cri/info/verbose_info.h"
#include "cri/runtime_service.h"

namespace berth::cri {
namespace {

using sandbox::ContainerId;
using sandbox::SandboxId;

// Clients take messages of 16 MiB at most; a little of it is the rest of the
// answer.
constexpr size_t kMaxAnswerBytes = (16u << 20) - 1024;

// A century: more would not fit into nanoseconds.
constexpr int64_t kMaxSeconds = 3'000'000'000;

Duration Seconds(int64_t seconds) {
  return std::chrono::seconds(std::clamp<int64_t>(seconds, 0, kMaxSeconds));
}

// Both streams in one message: each has half of it for certain, and what the
// other leaves.
void FitIntoAnswer(std::string& a, std::string& b) {
  if (a.size() + b.size() <= kMaxAnswerBytes) return;
  constexpr size_t kHalf = kMaxAnswerBytes / 2;
  const size_t keep_a =
      std::min(a.size(), kMaxAnswerBytes - std::min(b.size(), kHalf));
  a.resize(keep_a);
  b.resize(std::min(b.size(), kMaxAnswerBytes - keep_a));
}

}  // namespace

StatusOr<sandbox::ContainerStatus> RuntimeService::FindContainer(
    const std::string& id) const {
  if (id.empty()) return InvalidArgument("container_id: is missing");
  return parts_.inventory.Container(id, state::v1::SANDBOX_KIND_POD);
}

// See PodToEnd.
StatusOr<ContainerId> RuntimeService::ContainerToEnd(
    const std::string& id) const {
  const StatusOr<sandbox::ContainerStatus> container = FindContainer(id);
  if (container.ok()) return ContainerId((*container)->id());
  if (IsNotFound(container.status()) && id.size() == 64 &&
      IsNotFound(parts_.inventory.Container(id).status())) {
    return ContainerId(id);
  }
  return container.status();
}

StatusOr<v1::CreateContainerResponse> RuntimeService::CreateContainer(
    const Context& ctx, const v1::CreateContainerRequest& request) {
  // sandbox_config repeats what RunPodSandbox was given, and we remember.
  ASSIGN_OR_RETURN(const sandbox::SandboxStatus pod,
                   FindPod(request.pod_sandbox_id()));
  StatusOr<state::v1::ContainerConfig> config =
      FromContainerConfig(request.config(), parts_.resolve_image);
  RETURN_IF_ERROR(WordFirst(config.status()));
  const state::v1::SecurityProfile& seccomp = config->security().seccomp();
  if (seccomp.type() == state::v1::SecurityProfile::OCI) {
    ASSIGN_OR_RETURN(const std::string json, parts_.profile(seccomp.oci_ref()));
    config->mutable_security()->mutable_seccomp()->set_profile(json);
  }
  const state::v1::SandboxConfig& in = pod->config();
  RETURN_IF_ERROR(AddExtras(ExtrasOf(in.runtime_handler()), in, *config));
  const StatusOr<ContainerId> id =
      parts_.containers.Create(ctx, SandboxId(pod->id()), *config);
  RETURN_IF_ERROR(WordFirst(id.status()));
  v1::CreateContainerResponse response;
  response.set_container_id(id->str());
  return response;
}

StatusOr<v1::StartContainerResponse> RuntimeService::StartContainer(
    const Context& ctx, const v1::StartContainerRequest& request) {
  ASSIGN_OR_RETURN(const sandbox::ContainerStatus container,
                   FindContainer(request.container_id()));
  RETURN_IF_ERROR(
      WordFirst(parts_.containers.Start(ctx, ContainerId(container->id()))));
  return v1::StartContainerResponse();
}

StatusOr<v1::StopContainerResponse> RuntimeService::StopContainer(
    const Context& ctx, const v1::StopContainerRequest& request) {
  const StatusOr<ContainerId> id = ContainerToEnd(request.container_id());
  RETURN_IF_ERROR(IgnoreNotFound(id.status()));
  if (id.ok()) {
    RETURN_IF_ERROR(
        parts_.containers.Stop(ctx, *id, Seconds(request.timeout())));
  }
  return v1::StopContainerResponse();
}

StatusOr<v1::RemoveContainerResponse> RuntimeService::RemoveContainer(
    const Context& ctx, const v1::RemoveContainerRequest& request) {
  const StatusOr<ContainerId> id = ContainerToEnd(request.container_id());
  RETURN_IF_ERROR(IgnoreNotFound(id.status()));
  if (id.ok()) RETURN_IF_ERROR(parts_.containers.Remove(ctx, *id));
  return v1::RemoveContainerResponse();
}

StatusOr<v1::ContainerStatusResponse> RuntimeService::ContainerStatus(
    const Context&, const v1::ContainerStatusRequest& request) {
  ASSIGN_OR_RETURN(const sandbox::ContainerStatus container,
                   FindContainer(request.container_id()));
  v1::ContainerStatusResponse response;
  *response.mutable_status() = ToContainerStatus(*container);
  if (request.verbose()) {
    (*response.mutable_info())["info"] = ContainerInfo(*container);
  }
  return response;
}

StatusOr<v1::ListContainersResponse> RuntimeService::ListContainers(
    const Context&, const v1::ListContainersRequest& request) {
  v1::ListContainersResponse response;
  for (const sandbox::ContainerStatus& container :
       parts_.inventory.Containers(FromFilter(request.filter()))) {
    *response.add_containers() = ToContainer(*container);
  }
  return response;
}

Status RuntimeService::StreamContainers(
    const Context&, const v1::StreamContainersRequest& request,
    const Sink<v1::StreamContainersResponse>& sink) {
  std::vector<v1::Container> containers;
  for (const sandbox::ContainerStatus& container :
       parts_.inventory.Containers(FromFilter(request.filter()))) {
    containers.push_back(ToContainer(*container));
  }
  return SendInChunks<v1::StreamContainersResponse, v1::Container>(
      containers, [](auto& m, const auto& c) { *m.add_containers() = c; },
      sink);
}

StatusOr<v1::UpdateContainerResourcesResponse>
RuntimeService::UpdateContainerResources(
    const Context& ctx, const v1::UpdateContainerResourcesRequest& request) {
  ASSIGN_OR_RETURN(const sandbox::ContainerStatus container,
                   FindContainer(request.container_id()));
  if (request.has_windows()) {
    return Unimplemented("windows: this is a Linux runtime");
  }
  if (!request.annotations().empty()) {
    return Unimplemented(
        "annotations: have no meaning for any of our runtimes");
  }
  ASSIGN_OR_RETURN(state::v1::Resources limits,
                   FromResources(request.linux(), "linux"));
  // In an update zero means: leave it.
  if (limits.oom_score_adj() == 0) limits.clear_oom_score_adj();
  RETURN_IF_ERROR(
      parts_.containers.Update(ctx, ContainerId(container->id()), limits));
  return v1::UpdateContainerResourcesResponse();
}

StatusOr<v1::ReopenContainerLogResponse> RuntimeService::ReopenContainerLog(
    const Context& ctx, const v1::ReopenContainerLogRequest& request) {
  ASSIGN_OR_RETURN(const sandbox::ContainerStatus container,
                   FindContainer(request.container_id()));
  RETURN_IF_ERROR(parts_.streams.ReopenLog(ctx, ContainerId(container->id())));
  return v1::ReopenContainerLogResponse();
}

std::string RuntimeService::PodOf(const std::string& container_id) const {
  const StatusOr<sandbox::ContainerStatus> container =
      FindContainer(container_id);
  return container.ok() ? (*container)->sandbox_id() : container_id;
}

StatusOr<v1::ExecSyncResponse> RuntimeService::ExecSync(
    const Context& ctx, const v1::ExecSyncRequest& request) {
  ASSIGN_OR_RETURN(const sandbox::ContainerStatus container,
                   FindContainer(request.container_id()));
  if (request.cmd_size() == 0) return InvalidArgument("cmd: is missing");
  ASSIGN_OR_RETURN(sandbox::ExecResult result,
                   parts_.streams.ExecSync(
                       ctx, ContainerId(container->id()),
                       {request.cmd().begin(), request.cmd().end()},
                       Seconds(request.timeout()), facts_.exec_sync_output));
  FitIntoAnswer(result.output, result.error_output);
  v1::ExecSyncResponse response;
  response.set_stdout(std::move(result.output));
  response.set_stderr(std::move(result.error_output));
  response.set_exit_code(result.exit_code);
  return response;
}

}  // namespace berth::cri
