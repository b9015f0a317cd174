#include "base/gate.h"

namespace berth {

void Gate::Pass::Return() {
  if (gate_ == nullptr) return;
  MutexLock lock(gate_->mutex_);
  --(gate_->*count_);
  gate_->returned_.SignalAll();
  gate_ = nullptr;
}

StatusOr<Gate::Pass> Gate::Enter(const Context& ctx) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(ctx.Await(mutex_, returned_, [this] { return alone_ == 0; }));
  ++inside_;
  return Pass(this, &Gate::inside_);
}

StatusOr<Gate::Pass> Gate::BeAlone(const Context& ctx) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(ctx.Await(mutex_, returned_,
                            [this] { return alone_ == 0 && inside_ == 0; }));
  ++alone_;
  return Pass(this, &Gate::alone_);
}

}  // namespace berth
