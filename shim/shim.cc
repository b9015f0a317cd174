#include "shim/shim.h"

#include <memory>
#include <optional>

#include "base/mutex.h"

namespace berth::shim {

StatusOr<ExitStatus> AwaitExit(const Context& ctx, Task& task) {
  // The answer may come when nobody waits any more.
  struct Answer {
    Mutex mutex;
    CondVar came;
    std::optional<StatusOr<ExitStatus>> exit GUARDED_BY(mutex);
  };
  const auto answer = std::make_shared<Answer>();
  task.WhenExited([answer](const StatusOr<ExitStatus>& exit) {
    MutexLock lock(answer->mutex);
    answer->exit.emplace(exit);
    answer->came.SignalAll();
  });
  MutexLock lock(answer->mutex);
  RETURN_IF_ERROR(ctx.Await(
      answer->mutex, answer->came,
      [&]() NO_THREAD_SAFETY_ANALYSIS { return answer->exit.has_value(); }));
  return *answer->exit;
}

}  // namespace berth::shim
