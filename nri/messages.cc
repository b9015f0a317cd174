#include "nri/messages.h"

namespace berth::nri {

const char* MethodOf(api::Event event) {
  switch (event) {
    case api::RUN_POD_SANDBOX:
      return "RunPodSandbox";
    case api::STOP_POD_SANDBOX:
      return "StopPodSandbox";
    case api::REMOVE_POD_SANDBOX:
      return "RemovePodSandbox";
    case api::CREATE_CONTAINER:
      return "CreateContainer";
    case api::POST_CREATE_CONTAINER:
      return "PostCreateContainer";
    case api::START_CONTAINER:
      return "StartContainer";
    case api::POST_START_CONTAINER:
      return "PostStartContainer";
    case api::UPDATE_CONTAINER:
      return "UpdateContainer";
    case api::POST_UPDATE_CONTAINER:
      return "PostUpdateContainer";
    case api::STOP_CONTAINER:
      return "StopContainer";
    case api::REMOVE_CONTAINER:
      return "RemoveContainer";
    case api::UPDATE_POD_SANDBOX:
      return "UpdatePodSandbox";
    case api::POST_UPDATE_POD_SANDBOX:
      return "PostUpdatePodSandbox";
    case api::VALIDATE_CONTAINER_ADJUSTMENT:
      return "ValidateContainerAdjustment";
    default:
      return "";
  }
}

}  // namespace berth::nri
