#include <optional>

#include "cri/runtime_service.h"

namespace berth::cri {
namespace {

using sandbox::Event;
using Type = Event::Type;

std::optional<v1::ContainerEventType> ToType(Type type) {
  switch (type) {
    case Type::kSandboxCreated:
    case Type::kContainerCreated:
      return v1::CONTAINER_CREATED_EVENT;
    case Type::kSandboxStarted:
    case Type::kContainerStarted:
      return v1::CONTAINER_STARTED_EVENT;
    case Type::kSandboxStopped:
    case Type::kContainerExited:
      return v1::CONTAINER_STOPPED_EVENT;
    case Type::kSandboxRemoved:
    case Type::kContainerRemoved:
      return v1::CONTAINER_DELETED_EVENT;
    default:
      return std::nullopt;
  }
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
    const std::optional<v1::ContainerEventType> type = ToType(event.type);
    if (!type.has_value() || !event.of_pod) continue;
    v1::ContainerEventResponse message;
    message.set_container_event_type(*type);
    message.set_container_id(event.container_id.empty() ? event.sandbox_id
                                                        : event.container_id);
    message.set_created_at(event.time);
    const StatusOr<sandbox::SandboxStatus> pod =
        parts_.inventory.Sandbox(event.sandbox_id);
    if (pod.ok()) {
      *message.mutable_pod_sandbox_status() = ToPodStatus(**pod);
      for (const auto& container : ContainersOf(event.sandbox_id)) {
        *message.add_containers_statuses() = ToContainerStatus(*container);
      }
    }
    RETURN_IF_ERROR(sink(message));
  }
}

}  // namespace berth::cri
