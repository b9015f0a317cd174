#include "door/stream_places.h"

namespace berth::door {

StreamPlaces::Place::Place(StreamPlaces& places, const Context& ctx)
    : places_(places), ctx_(ctx) {
  MutexLock lock(places_.mutex_);
  places_.taken_.push_back(this);
  if (places_.taken_.size() <= places_.limit_) return;
  Place* const oldest = places_.taken_.front();
  places_.taken_.pop_front();
  oldest->lost_ = true;
  oldest->ctx_.Cancel();
}

StreamPlaces::Place::~Place() {
  MutexLock lock(places_.mutex_);
  places_.taken_.remove(this);
}

bool StreamPlaces::Place::lost() const {
  MutexLock lock(places_.mutex_);
  return lost_;
}

}  // namespace berth::door
