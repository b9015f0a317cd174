#include "nri/gate.h"

namespace berth::nri {

void Gate::Pass::Return() {
  if (gate_ == nullptr) return;
  MutexLock lock(gate_->mutex_);
  --(gate_->*count_);
  gate_->returned_.SignalAll();
  gate_ = nullptr;
}

StatusOr<Gate::Pass> Gate::Make(const Context& ctx) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR_AS(
      ctx.Await(mutex_, returned_, [this] { return joins_ == 0; }),
      "wait for an NRI plugin that joins");
  ++makes_;
  return Pass(this, &Gate::makes_);
}

StatusOr<Gate::Pass> Gate::Join(const Context& ctx) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR_AS(ctx.Await(mutex_, returned_,
                               [this] { return joins_ == 0 && makes_ == 0; }),
                     "wait for what is being made");
  ++joins_;
  return Pass(this, &Gate::joins_);
}

StatusOr<Gate::Pass> Gate::Turn(const Context& ctx) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR_AS(
      ctx.Await(mutex_, returned_, [this] { return turns_ == 0; }),
      "wait for NRI plugins");
  ++turns_;
  return Pass(this, &Gate::turns_);
}

}  // namespace berth::nri
