#include "shim/process/task.h"

#include <utility>

#include "base/strings.h"
#include "shim/process/process_facts.h"

namespace berth::shim {

std::shared_ptr<Runtime> TaskTable::RuntimeFor(const RuntimeOptions& options) {
  const std::string key = Join(
      {options.program, options.root, options.systemd_cgroup ? "systemd" : "",
       options.no_pivot_root ? "no-pivot" : "",
       options.no_new_keyring ? "no-keyring" : ""},
      "\n");
  std::shared_ptr<Runtime>& runtime = runtimes_[key];
  if (runtime == nullptr) runtime = make_runtime_(options);
  return runtime;
}

Status TaskTable::CheckNew(const std::string& id) const {
  RETURN_IF_ERROR(ValidateId(id));
  if (containers_.count(id) != 0) return AlreadyExists("container " + id);
  return OkStatus();
}

void TaskTable::Create(CreateTask task, const Options& options,
                       Container::Reply<pid_t> done) {
  const std::string id = task.id;
  const Status valid = CheckNew(id);
  if (!valid.ok()) return done(valid);
  ContainerOptions container_options;
  container_options.runtime = RuntimeFor(options.runtime);
  container_options.native = options.runtime.program.empty();
  container_options.io = {options.io_uid, options.io_gid};
  container_options.create_limit = options.create_limit;
  const auto container = std::make_shared<Container>(
      parts_, std::move(container_options), std::move(task));
  containers_[id] = container;
  const auto made = [this, id, done = std::move(done)](StatusOr<pid_t> pid) {
    if (!pid.ok()) containers_.erase(id);
    done(std::move(pid));
  };
  options.start ? container->Run(made) : container->Create(made);
}

StatusOr<std::shared_ptr<Container>> TaskTable::Find(
    const std::string& id) const {
  const auto found = containers_.find(id);
  if (found == containers_.end()) {
    return NotFound("container " + Quoted(id.substr(0, 256)) +
                    " is not in this shim");
  }
  return found->second;
}

void TaskTable::Delete(const std::string& id, const std::string& exec_id,
                       Container::Reply<TaskState> done) {
  const StatusOr<std::shared_ptr<Container>> container = Find(id);
  if (!container.ok()) return done(container.status());
  (*container)
      ->Delete(exec_id, [this, id, exec_id,
                         done = std::move(done)](StatusOr<TaskState> state) {
        if (state.ok() && exec_id.empty()) containers_.erase(id);
        done(std::move(state));
      });
}

std::vector<std::shared_ptr<Container>> TaskTable::All() const {
  std::vector<std::shared_ptr<Container>> all;
  for (const auto& [id, container] : containers_) all.push_back(container);
  return all;
}

}  // namespace berth::shim
