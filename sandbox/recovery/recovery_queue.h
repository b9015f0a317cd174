#ifndef SANDBOX_RECOVERY_RECOVERY_QUEUE_H_
#define SANDBOX_RECOVERY_RECOVERY_QUEUE_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/thread.h"

namespace berth::sandbox {

// Jobs that are tried until they succeed, so many at once, each with pauses
// that grow from try to try. A job that waits for its next try costs no
// thread, and none is left when all are done.
//
// Thread-safe. Jobs may add others.
class RecoveryQueue {
 public:
  // The context is cancelled by Stop.
  using Job = std::function<Status(const Context&)>;

  struct Options {
    size_t threads = 1;
    Duration first_pause = std::chrono::milliseconds(250);
    Duration longest_pause = std::chrono::minutes(1);
  };

  // `name` is for the threads.
  RecoveryQueue(std::string name, Options options);
  ~RecoveryQueue();  // as Stop
  RecoveryQueue(const RecoveryQueue&) = delete;
  RecoveryQueue& operator=(const RecoveryQueue&) = delete;

  // `what` is for the log: "recover sandbox ab12". Every failed try is logged,
  // but no error twice in a row.
  void Add(std::string what, Job job);
  // RESOURCE_EXHAUSTED if there are jobs and not a single thread to do them.
  Status CheckThreads();

  // Until all are done; DEADLINE_EXCEEDED or CANCELLED if the context ends
  // before.
  Status AwaitDone(const Context& ctx);

  // Cancels what is being done and drops the rest. Waits for the threads.
  void Stop();

 private:
  struct Entry {
    std::string what;
    Job job;
    Duration pause{0};
    std::string said;  // the last error
  };

  void StartThreads() REQUIRES(mutex_);
  void Work();
  // The next entry that is due; false when there is nothing left to do here.
  bool Take(Entry& entry);
  void Try(Entry entry);

  const std::string name_;
  const Options options_;
  const Context until_;
  Mutex mutex_;
  CondVar changed_;
  std::multimap<SteadyTime, Entry> waiting_ GUARDED_BY(mutex_);
  size_t busy_ GUARDED_BY(mutex_) = 0;
  size_t working_ GUARDED_BY(mutex_) = 0;     // threads that have not ended
  bool sleeping_ GUARDED_BY(mutex_) = false;  // one of them, until a job is due
  std::vector<Thread> threads_ GUARDED_BY(mutex_);
};

}  // namespace berth::sandbox

#endif  // SANDBOX_RECOVERY_RECOVERY_QUEUE_H_
