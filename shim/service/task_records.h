#ifndef SHIM_SERVICE_TASK_RECORDS_H_
#define SHIM_SERVICE_TASK_RECORDS_H_

#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "shim/process/runtime.h"

namespace berth::shim {

// What somebody must know to clean up after a shim that was killed: one file
// per container in <state_dir>/tasks, written before the container is made and
// removed after it is gone. Thread-compatible.
class TaskRecords {
 public:
  struct Record {
    std::string id;
    std::string bundle;
    RuntimeOptions runtime;
  };

  explicit TaskRecords(std::string state_dir)
      : folder_(std::move(state_dir) + "/tasks") {}

  Status Save(const Record& record) const;
  void Erase(const std::string& id) const;
  // Files that are no records are left out. None if there is no folder.
  std::vector<Record> All() const;

 private:
  const std::string folder_;
};

}  // namespace berth::shim

#endif  // SHIM_SERVICE_TASK_RECORDS_H_
