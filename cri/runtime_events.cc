#include <vector>

#include "cri/runtime_service.h"

namespace berth::cri {
namespace {

using sandbox::Event;
using Type = Event::Type;

// A pod that nobody can see before it is ready has been created when it is.
std::vector<v1::ContainerEventType> ToTypes(Type type) {
  switch (type) {
    case Type::kSandboxStarted:
      return {v1::CONTAINER_CREATED_EVENT, v1::CONTAINER_STARTED_EVENT};
    case Type::kContainerCreated:
      return {v1::CONTAINER_CREATED_EVENT};
    case Type::kContainerStarted:
      return {v1::CONTAINER_STARTED_EVENT};
    case Type::kSandboxStopped:
    case Type::kContainerExited:
      return {v1::CONTAINER_STOPPED_EVENT};
    case Type::kSandboxRemoved:
    case Type::kContainerRemoved:
      return {v1::CONTAINER_DELETED_EVENT};
    default:
      return {};
  }
}

v1::ContainerEventResponse ToMessage(const Event& event) {
  v1::ContainerEventResponse message;
  message.set_container_id(event.container_id.empty() ? event.sandbox_id
                                                      : event.container_id);
  message.set_created_at(event.time);
  if (event.sandbox) {
    *message.mutable_pod_sandbox_status() = ToPodStatus(*event.sandbox);
  }
  for (const auto& container : event.containers) {
    *message.add_containers_statuses() = ToContainerStatus(*container);
  }
  return message;
}

}  // namespace

// A reader that was too slow has missed events; its stream ends with
// RESOURCE_EXHAUSTED, upon which clients list everything and come again.
Status RuntimeService::GetContainerEvents(
    const Context& ctx, const v1::GetEventsRequest&,
    const Sink<v1::ContainerEventResponse>& sink) {
  const auto subscription = parts_.events.Subscribe(sandbox::EventFilter());
  while (true) {
    ASSIGN_OR_RETURN(const Event event, subscription->Next(ctx));
    const std::vector<v1::ContainerEventType> types = ToTypes(event.type);
    if (types.empty() || !event.of_pod) continue;
    v1::ContainerEventResponse message = ToMessage(event);
    for (const v1::ContainerEventType type : types) {
      message.set_container_event_type(type);
      RETURN_IF_ERROR(sink(message));
    }
  }
}

}  // namespace berth::cri
