#include "docker/exec_table.h"

#include <utility>

namespace berth::docker {
namespace {

constexpr size_t kMaxExecs = 4096;

}  // namespace

void ExecTable::Add(std::shared_ptr<Exec> exec) {
  MutexLock lock(mutex_);
  order_.push_back(exec->id);
  execs_[exec->id] = std::move(exec);
  if (order_.size() > kMaxExecs) {
    execs_.erase(order_.front());
    order_.pop_front();
  }
}

StatusOr<std::shared_ptr<Exec>> ExecTable::Find(const std::string& id) const {
  MutexLock lock(mutex_);
  const auto found = execs_.find(id);
  if (found == execs_.end()) {
    return NotFound("No such exec instance: " + id);
  }
  return found->second;
}

std::vector<std::string> ExecTable::Of(const std::string& container_id) const {
  MutexLock lock(mutex_);
  std::vector<std::string> ids;
  for (const auto& [id, exec] : execs_) {
    if (exec->container_id == container_id) ids.push_back(id);
  }
  return ids;
}

}  // namespace berth::docker
