#ifndef DOCKER_EXEC_TABLE_H_
#define DOCKER_EXEC_TABLE_H_

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/mutex.h"
#include "base/status.h"
#include "sandbox/container_streams.h"

namespace berth::docker {

// A process that exec create announced, until its container is removed. Its
// members are guarded by its own mutex. Thread-compatible: who reads or writes
// a guarded one holds the mutex.
struct Exec {
  std::string id;
  std::string container_id;
  sandbox::ExecConfig config;
  Json process;  // ProcessConfig of inspect
  std::string detach_keys;

  // FAILED_PRECONDITION, in Docker's words, if it has begun before.
  Status Begin() EXCLUDES(mutex);
  // What had begun has come to nothing, before there was a process: it may
  // begin again.
  void TakeBack() EXCLUDES(mutex);

  Mutex mutex;
  CondVar changed;  // a session has come, or an exit code
  // The configuration is that of create until then, and not changed after.
  bool started GUARDED_BY(mutex) = false;
  bool running GUARDED_BY(mutex) = false;
  std::optional<int> exit_code GUARDED_BY(mutex);
  int pid GUARDED_BY(mutex) = 0;
  // While it runs: for resize.
  std::shared_ptr<sandbox::StreamSession> session GUARDED_BY(mutex);
};

// Exec processes have no record: they end with the connection that asked for
// them, or with us. The ended ones are kept for inspect, a bounded number:
// when there are too many, those that do not run go first. Thread-safe.
class ExecTable {
 public:
  void Add(std::shared_ptr<Exec> exec);
  // NOT_FOUND "No such exec instance: ID".
  StatusOr<std::shared_ptr<Exec>> Find(const std::string& id) const;
  // The container's, but those that have ended.
  std::vector<std::string> Of(const std::string& container_id) const;
  // Those of a container that is gone.
  void Forget(const std::string& container_id);

 private:
  mutable Mutex mutex_;
  std::map<std::string, std::shared_ptr<Exec>> execs_ GUARDED_BY(mutex_);
  std::deque<std::string> order_ GUARDED_BY(mutex_);
};

}  // namespace berth::docker

#endif  // DOCKER_EXEC_TABLE_H_
