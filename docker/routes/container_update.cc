// New limits and another restart policy for a container: docker update.
#include <string>
#include <vector>

#include "docker/call.h"
#include "docker/convert/update_request.h"
#include "docker/engine.h"
#include "docker/notes.h"
#include "sandbox/ids.h"

namespace berth::docker {
namespace {

using sandbox::ContainerId;

// What inspect tells, and what the restart policy is.
Status ChangeHostConfig(Engine& engine, Call& call, const std::string& id,
                        const Json& changed) {
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock,
                   engine.notes.Acquire(call.ctx, id));
  const View view = ViewOf(engine, id);
  if (view.container == nullptr) {
    return NotFound("No such container: " + call.name);
  }
  RETURN_IF_ERROR(view.notes_status);
  Notes notes = *view.notes;
  for (const auto& [name, value] : changed.members()) {
    notes.host_config[name] = value;
  }
  // The record has counted starts by hand until now.
  if (view.notes->restart_policy() == "no") {
    notes.restarts_before = view.container->restart_count();
  }
  return engine.containers.SetDoorNotes(call.ctx, ContainerId(id),
                                        SerializeNotes(notes));
}

Status Update(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const View view, FindOurs(engine, call.name));
  ASSIGN_OR_RETURN(const Json body, call.Body());
  ASSIGN_OR_RETURN(const UpdateRequest update,
                   ConvertUpdate(body, view.container->config().resources()));
  const Json* const policy = update.host_config.Find("RestartPolicy");
  if (policy != nullptr && view.notes->auto_remove() &&
      !policy->Text("Name").empty() && policy->Text("Name") != "no") {
    return InvalidArgument(
        "Restart policy cannot be updated because AutoRemove is enabled for "
        "the container");
  }
  if (update.has_limits) {
    RETURN_IF_ERROR(engine.containers.Update(call.ctx, ContainerId(view.id()),
                                             update.limits));
  }
  if (!update.host_config.empty()) {
    RETURN_IF_ERROR(
        ChangeHostConfig(engine, call, view.id(), update.host_config));
  }
  // New limits are told by who sets them.
  if (!update.has_limits) engine.events.PublishContainer("update", view.id());
  return call.Reply(200, {{"Warnings", Json::array()}});
}

}  // namespace

std::vector<Route> ContainerUpdateRoutes() {
  return {{"POST", "/containers/{id}/update", Update}};
}

}  // namespace berth::docker
