#include "docker/leftovers.h"

#include <fcntl.h>

#include <set>
#include <string>
#include <vector>

#include "base/fs/tree.h"
#include "base/sys/file.h"
#include "base/unique_fd.h"
#include "docker/lifecycle.h"
#include "sandbox/ids.h"

namespace berth::docker {
namespace {

// Those that are there now: a request that makes one later gives it its
// container. Behind the door, as plugins may hang that give their network back.
void RemoveEmptySandboxes(Engine& engine) {
  sandbox::SandboxFilter ours;
  ours.kind = state::v1::SANDBOX_KIND_STANDALONE;
  std::vector<sandbox::SandboxId> empty;
  for (const auto& sandbox : engine.inventory().Sandboxes(ours)) {
    const sandbox::SandboxId id(sandbox->id());
    if (engine.inventory().ContainersOf(id).empty()) empty.push_back(id);
  }
  if (empty.empty()) return;
  engine.background.Run([&engine, empty](const Context& ctx) {
    for (const sandbox::SandboxId& id : empty) {
      LogFailure("remove sandbox " + id.str(),
                 engine.sandboxes.Remove(ctx, id));
    }
  });
}

void RemoveStrayLogs(const Engine& engine) {
  std::set<std::string> used;
  for (const View& view : AllViews(engine)) {
    LogFailure("container " + view.id(), view.notes_status);
    // What is being removed is finished behind the doors, without its log.
    if (view.container->phase() == state::v1::CONTAINER_PHASE_REMOVING)
      continue;
    used.insert(view.notes->log_directory);
    const std::string& log = view.container->config().log().path();
    used.insert(log.substr(0, log.rfind('/')));
  }
  const std::string base = LogDirectory(engine);
  const StatusOr<UniqueFd> dir = OpenFile(base, O_RDONLY | O_DIRECTORY);
  if (IsNotFound(dir.status())) return;
  LogFailure("find stray logs", dir.status());
  if (!dir.ok()) return;
  const StatusOr<std::vector<std::string>> names = ListDirectory(dir->get());
  LogFailure("find stray logs", names.status());
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (used.count(base + "/" + name) > 0) continue;
    LogFailure("remove log " + name, RemoveTree(dir->get(), name));
  }
}

}  // namespace

void RemoveLeftovers(Engine& engine, const Context& ctx) {
  RemoveEmptySandboxes(engine);
  RemoveStrayLogs(engine);
  LogFailure("remove unfinished volumes",
             engine.volumes.Sweep(ctx, [&](const std::string& name) {
               return !UsersOf(engine, name).empty();
             }));
}

}  // namespace berth::docker
