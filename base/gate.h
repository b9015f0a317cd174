#ifndef BASE_GATE_H_
#define BASE_GATE_H_

#include <utility>

#include "base/context.h"
#include "base/mutex.h"
#include "base/status.h"

namespace berth {

// Many inside at once, or one alone. Unlike a lock's, its waits end with their
// context, and who waits to be alone keeps nobody out: who is inside may need a
// lock of somebody who wants in. Thread-safe.
class Gate {
 public:
  // Held until it is destroyed, by any thread. Must not outlive the gate.
  // Thread-compatible.
  class [[nodiscard]] Pass {
   public:
    Pass() = default;
    Pass(Pass&& other) noexcept { *this = std::move(other); }
    Pass& operator=(Pass&& other) noexcept {
      Return();
      gate_ = std::exchange(other.gate_, nullptr);
      count_ = other.count_;
      return *this;
    }
    ~Pass() { Return(); }
    // Nothing to do for an empty one.
    void Return();

   private:
    friend class Gate;
    Pass(Gate* gate, int Gate::*count) : gate_(gate), count_(count) {}

    Gate* gate_ = nullptr;
    int Gate::*count_ = nullptr;
  };

  Gate() = default;
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Each waits until it may, or fails with what the context says.
  StatusOr<Pass> Enter(const Context& ctx) EXCLUDES(mutex_);
  StatusOr<Pass> BeAlone(const Context& ctx) EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  CondVar returned_;
  int inside_ = 0;  // both guarded by mutex_; named by pointers
  int alone_ = 0;   // at most 1
};

}  // namespace berth

#endif  // BASE_GATE_H_
