#ifndef NRI_GATE_H_
#define NRI_GATE_H_

#include <utility>

#include "base/context.h"
#include "base/mutex.h"
#include "base/status.h"

namespace berth::nri {

// Who has to wait for whom.
//
// Who makes or removes something that plugins know of holds a pass of Make from
// their word on it until all can see it; many do at once. A plugin that comes
// has a pass of Join while it is shown what is there, and beside no Make: so it
// misses nothing. Whoever asks the plugins has the Turn, one at a time.
//
// Make or Join first, then Turn. A Join that waits keeps nobody out: who has a
// pass of Make may need a lock of somebody who wants one. Thread-safe.
class Gate {
 public:
  // Held until it is destroyed. Movable; must not outlive the gate.
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

   private:
    friend class Gate;
    Pass(Gate* gate, int Gate::*count) : gate_(gate), count_(count) {}
    void Return();

    Gate* gate_ = nullptr;
    int Gate::*count_ = nullptr;
  };

  Gate() = default;
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Each waits until it may, or what the context says.
  StatusOr<Pass> Make(const Context& ctx) EXCLUDES(mutex_);
  StatusOr<Pass> Join(const Context& ctx) EXCLUDES(mutex_);
  StatusOr<Pass> Turn(const Context& ctx) EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  CondVar returned_;
  int makes_ = 0;  // all guarded by mutex_; named by pointers
  int joins_ = 0;  // at most 1
  int turns_ = 0;  // at most 1
};

}  // namespace berth::nri

#endif  // NRI_GATE_H_
