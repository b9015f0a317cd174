#include "docker/exec_table.h"

#include <algorithm>
#include <utility>

namespace berth::docker {
namespace {

constexpr size_t kMaxExecs = 4096;

bool Runs(Exec& exec) {
  MutexLock lock(exec.mutex);
  return exec.running;
}

bool Ended(Exec& exec) {
  MutexLock lock(exec.mutex);
  return exec.exit_code.has_value();
}

}  // namespace

Status Exec::Begin() {
  MutexLock lock(mutex);
  if (started) {
    return FailedPrecondition("Error: Exec command " + id + " has already run");
  }
  started = true;
  return OkStatus();
}

void Exec::TakeBack() {
  MutexLock lock(mutex);
  started = false;
  changed.SignalAll();
}

void ExecTable::Add(std::shared_ptr<Exec> exec) {
  MutexLock lock(mutex_);
  if (order_.size() >= kMaxExecs) {
    auto oldest = std::find_if(order_.begin(), order_.end(),
                               [&](const std::string& id) REQUIRES(mutex_) {
                                 return !Runs(*execs_[id]);
                               });
    if (oldest == order_.end()) oldest = order_.begin();
    execs_.erase(*oldest);
    order_.erase(oldest);
  }
  order_.push_back(exec->id);
  execs_[exec->id] = std::move(exec);
}

void ExecTable::Forget(const std::string& container_id) {
  MutexLock lock(mutex_);
  std::erase_if(order_, [&](const std::string& id) REQUIRES(mutex_) {
    return execs_[id]->container_id == container_id;
  });
  std::erase_if(execs_, [&](const auto& entry) {
    return entry.second->container_id == container_id;
  });
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
    if (exec->container_id == container_id && !Ended(*exec)) ids.push_back(id);
  }
  return ids;
}

}  // namespace berth::docker
