#ifndef SHIM_PROCESS_TASK_H_
#define SHIM_PROCESS_TASK_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "shim/process/container.h"
#include "shim/process/runtime.h"
#include "shim/shim.h"

namespace berth::shim {

// The containers that the shim holds, by id; and the runtimes that made them,
// one for each set of options. Single-threaded.
class TaskTable {
 public:
  using RuntimeMaker =
      std::function<std::shared_ptr<Runtime>(const RuntimeOptions&)>;

  TaskTable(const ShimParts& parts, RuntimeMaker make_runtime)
      : parts_(parts), make_runtime_(std::move(make_runtime)) {}

  struct Options {
    RuntimeOptions runtime;
    uid_t io_uid = static_cast<uid_t>(-1);
    gid_t io_gid = static_cast<gid_t>(-1);
    Duration create_limit{0};  // what Create may take; 0: no limit
    bool start = false;        // Container::Run
  };
  // INVALID_ARGUMENT, ALREADY_EXISTS: what Create would say of the id.
  Status CheckNew(const std::string& id) const;
  // The id is taken from here on, and free again on failure.
  void Create(CreateTask task, const Options& options,
              Container::Reply<pid_t> done);
  StatusOr<std::shared_ptr<Container>> Find(const std::string& id) const;
  // An exec, or with "" the container, which is then gone from the table.
  void Delete(const std::string& id, const std::string& exec_id,
              Container::Reply<TaskState> done);

  bool empty() const { return containers_.empty(); }
  std::vector<std::shared_ptr<Container>> All() const;

 private:
  std::shared_ptr<Runtime> RuntimeFor(const RuntimeOptions& options);

  const ShimParts parts_;
  const RuntimeMaker make_runtime_;
  std::map<std::string, std::shared_ptr<Runtime>> runtimes_;
  std::map<std::string, std::shared_ptr<Container>> containers_;
};

}  // namespace berth::shim

#endif  // SHIM_PROCESS_TASK_H_
