#include "docker/engine.h"

#include <utility>

#include "base/strings.h"
#include "docker/restart_monitor.h"

namespace berth::docker {
namespace {

View Complete(const Engine& engine, sandbox::ContainerStatus container) {
  View view;
  view.container = std::move(container);
  if (view.container == nullptr) return view;
  view.sandbox = engine.inventory().FindSandbox(
      sandbox::SandboxId(view.container->sandbox_id()));
  if (view.ours()) {
    view.notes = ParseNotes(view.container->config().door_notes());
  }
  return view;
}

}  // namespace

std::vector<View> AllViews(const Engine& engine) {
  std::vector<View> views;
  for (const sandbox::ContainerStatus& container :
       engine.inventory().Containers({})) {
    views.push_back(Complete(engine, container));
  }
  return views;
}

View ViewOf(const Engine& engine, const std::string& id) {
  return Complete(engine,
                  engine.inventory().FindContainer(sandbox::ContainerId(id)));
}

StatusOr<View> FindView(const Engine& engine, const std::string& text) {
  const Status missing = NotFound("No such container: " + text);
  if (text.empty()) return missing;
  const std::string name = text.front() == '/' ? text.substr(1) : text;
  const View* by_prefix = nullptr;
  bool ambiguous = false;
  const std::vector<View> views = AllViews(engine);
  for (const View& view : views) {
    if (view.id() == text) return view;
  }
  for (const View& view : views) {
    if (view.name() == name) return view;
    if (StartsWith(view.id(), text)) {
      ambiguous = ambiguous || by_prefix != nullptr;
      by_prefix = &view;
    }
  }
  if (ambiguous) {
    return InvalidArgument("Multiple IDs found with provided prefix: " + text);
  }
  if (by_prefix == nullptr) return missing;
  return *by_prefix;
}

StatusOr<View> FindOurs(const Engine& engine, const std::string& text) {
  ASSIGN_OR_RETURN(View view, FindView(engine, text));
  if (view.ours()) return view;
  return FailedPrecondition("container " + view.name() +
                            " belongs to a Kubernetes pod: the kubelet alone "
                            "changes it");
}

Surroundings SurroundingsOf(const Engine& engine, const View& view) {
  Surroundings around;
  around.volume_directory = engine.volumes.directory();
  around.now = Now();
  around.restarting =
      engine.monitor != nullptr && engine.monitor->Waiting(view.id());
  return around;
}

}  // namespace berth::docker
