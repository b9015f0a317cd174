#include <cstdint>
#include <string>

#include "base/strings.h"
#include "cri/runtime_service.h"

namespace berth::cri {
namespace {

template <typename Request>
Status CheckStreams(const Request& request) {
  if (!request.stdin() && !request.stdout() && !request.stderr()) {
    return InvalidArgument(
        "stdin, stdout, stderr: at least one of them must be wanted");
  }
  if (request.tty() && request.stderr()) {
    return InvalidArgument("stderr: a terminal has none of its own");
  }
  return OkStatus();
}

Status CheckRunning(const sandbox::ContainerStatus& container) {
  if (container->phase() == state::v1::CONTAINER_PHASE_RUNNING) {
    return OkStatus();
  }
  return FailedPrecondition("container " + container->id() +
                            ": is not running");
}

}  // namespace

StatusOr<v1::ExecResponse> RuntimeService::Exec(
    const Context&, const v1::ExecRequest& request) {
  ASSIGN_OR_RETURN(const sandbox::ContainerStatus container,
                   FindContainer(request.container_id()));
  RETURN_IF_ERROR(CheckStreams(request));
  if (request.cmd_size() == 0) return InvalidArgument("cmd: is missing");
  RETURN_IF_ERROR(CheckRunning(container));
  v1::ExecRequest whole = request;
  whole.set_container_id(container->id());
  v1::ExecResponse response;
  ASSIGN_OR_RETURN(*response.mutable_url(), parts_.stream_url(whole));
  return response;
}

StatusOr<v1::AttachResponse> RuntimeService::Attach(
    const Context&, const v1::AttachRequest& request) {
  ASSIGN_OR_RETURN(const sandbox::ContainerStatus container,
                   FindContainer(request.container_id()));
  RETURN_IF_ERROR(CheckStreams(request));
  if (request.tty() != container->config().tty()) {
    return InvalidArgument(container->config().tty()
                               ? "tty: the container has a terminal"
                               : "tty: the container has no terminal");
  }
  RETURN_IF_ERROR(CheckRunning(container));
  v1::AttachRequest whole = request;
  whole.set_container_id(container->id());
  v1::AttachResponse response;
  ASSIGN_OR_RETURN(*response.mutable_url(), parts_.stream_url(whole));
  return response;
}

StatusOr<v1::PortForwardResponse> RuntimeService::PortForward(
    const Context&, const v1::PortForwardRequest& request) {
  ASSIGN_OR_RETURN(const sandbox::SandboxStatus pod,
                   FindPod(request.pod_sandbox_id()));
  for (const int32_t port : request.port()) {
    if (port < 1 || port > UINT16_MAX) {
      return InvalidArgument("port: " + std::to_string(port) + " is none");
    }
  }
  if (pod->phase() != state::v1::SANDBOX_PHASE_READY) {
    return FailedPrecondition("sandbox " + pod->id() + ": is not ready");
  }
  v1::PortForwardRequest whole = request;
  whole.set_pod_sandbox_id(pod->id());
  v1::PortForwardResponse response;
  ASSIGN_OR_RETURN(*response.mutable_url(), parts_.stream_url(whole));
  return response;
}

}  // namespace berth::cri
