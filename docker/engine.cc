#include "docker/engine.h"

#include <memory>
#include <optional>
#include <utility>

#include "base/strings.h"
#include "docker/health_monitor.h"
#include "docker/restart_monitor.h"

namespace berth::docker {
namespace {

// All but its notes.
View Bare(const Engine& engine, sandbox::ContainerStatus container) {
  View view;
  view.container = std::move(container);
  if (view.container == nullptr) return view;
  view.sandbox = engine.inventory().FindSandbox(
      sandbox::SandboxId(view.container->sandbox_id()));
  return view;
}

View Complete(const Engine& engine, View view) {
  if (view.container == nullptr || !view.ours()) return view;
  StatusOr<std::shared_ptr<const Notes>> notes =
      engine.parsed_notes.Of(view.id(), view.container->config().door_notes());
  view.notes_status = notes.status();
  if (notes.ok()) view.notes = *std::move(notes);
  return view;
}

}  // namespace

std::vector<View> AllViews(const Engine& engine) {
  std::vector<View> views;
  for (const sandbox::ContainerStatus& container :
       engine.inventory().Containers({})) {
    views.push_back(Complete(engine, Bare(engine, container)));
  }
  return views;
}

View ViewOf(const Engine& engine, const std::string& id) {
  return Complete(
      engine,
      Bare(engine, engine.inventory().FindContainer(sandbox::ContainerId(id))));
}

StatusOr<View> FindView(const Engine& engine, const std::string& text) {
  const Status missing = NotFound("No such container: " + text);
  if (text.empty()) return missing;
  const std::string name = text.front() == '/' ? text.substr(1) : text;
  std::optional<View> by_name;
  std::optional<View> by_prefix;
  bool ambiguous = false;
  for (const sandbox::ContainerStatus& container :
       engine.inventory().Containers({})) {
    View view = Bare(engine, container);
    if (view.id() == text) return Complete(engine, std::move(view));
    if (view.name() == name) {
      by_name = std::move(view);
    } else if (StartsWith(view.id(), text)) {
      ambiguous = ambiguous || by_prefix.has_value();
      by_prefix = std::move(view);
    }
  }
  if (by_name.has_value()) return Complete(engine, *std::move(by_name));
  if (ambiguous) {
    return InvalidArgument("Multiple IDs found with provided prefix: " + text);
  }
  if (!by_prefix.has_value()) return missing;
  return Complete(engine, *std::move(by_prefix));
}

StatusOr<View> FindOurs(const Engine& engine, const std::string& text) {
  ASSIGN_OR_RETURN(View view, FindView(engine, text));
  if (view.ours()) return view;
  return FailedPrecondition("container " + view.name() +
                            " belongs to a Kubernetes pod: the kubelet alone "
                            "changes it");
}

Status NameConflict(const std::string& name, const std::string& holder) {
  const std::string by = holder.empty() ? "a container that is being created"
                                        : "container \"" + holder + "\"";
  return AlreadyExists("Conflict. The container name \"/" + name +
                       "\" is already in use by " + by +
                       ". You have to remove (or rename) that container to be "
                       "able to reuse that name.");
}

std::string LogDirectory(const Engine& engine) {
  return engine.settings.root + "/docker";
}

Surroundings SurroundingsOf(const Engine& engine, const View& view) {
  Surroundings around;
  around.volume_directory = engine.volumes.directory();
  around.now = Now();
  around.restarting =
      engine.monitor != nullptr && engine.monitor->Waiting(view.id());
  if (engine.health != nullptr) around.health = engine.health->Of(view.id());
  return around;
}

}  // namespace berth::docker
