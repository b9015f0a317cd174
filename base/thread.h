// The one way to start a thread: it can fail, it has a name, and an exception
// in it ends that thread alone.
#ifndef BASE_THREAD_H_
#define BASE_THREAD_H_

#include <pthread.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "base/status.h"

namespace berth {

// A running thread, joined when this is destroyed. Empty when default-made,
// joined or detached. Thread-compatible.
class [[nodiscard]] Thread {
 public:
  Thread() = default;
  Thread(Thread&& other) noexcept;
  Thread& operator=(Thread&& other) noexcept;  // joins what it held
  ~Thread();

  bool joinable() const { return id_.has_value(); }
  // Waits for the end of the body. Nothing to do for an empty one. Not from
  // the thread itself.
  void Join();
  // Lets it run by itself. What the body uses must outlive it.
  void Detach();

 private:
  friend StatusOr<Thread> StartThread(const std::string&, std::function<void()>,
                                      size_t);
  explicit Thread(pthread_t id) : id_(id) {}

  std::optional<pthread_t> id_;
};

// Runs `body` on a thread of its own, called `name` (its first 15 characters).
// RESOURCE_EXHAUSTED if the kernel gives none (pids.max, RLIMIT_NPROC, memory):
// the body has not run then and is destroyed. `stack_bytes` 0 is the default
// size. An exception that leaves the body is reported on standard error, and
// the thread ends. Signals are delivered as in the starting thread
// (pthread_create(3)).
StatusOr<Thread> StartThread(const std::string& name,
                             std::function<void()> body,
                             size_t stack_bytes = 0);

}  // namespace berth

#endif  // BASE_THREAD_H_
