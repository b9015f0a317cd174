#ifndef DOOR_STREAM_PLACES_H_
#define DOOR_STREAM_PLACES_H_

#include <cstddef>
#include <list>
#include <memory>

#include "base/context.h"
#include "base/mutex.h"

namespace berth::door {

// Places for streams that may last for ever. There are so many; a new stream
// takes the place of the oldest if all are taken, so that a client that leaks
// streams keeps no other client out. Thread-safe.
class StreamPlaces {
 public:
  // Held by a stream, until destroyed. Must not outlive the StreamPlaces.
  class [[nodiscard]] Place {
   public:
    Place(StreamPlaces& places, const Context& ctx);
    ~Place();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    // A newer stream has it: the context has been cancelled for that.
    bool lost() const;

   private:
    friend class StreamPlaces;
    StreamPlaces& places_;
    const Context ctx_;
    bool lost_ = false;  // guarded by the places' mutex
  };

  explicit StreamPlaces(size_t limit) : limit_(limit) {}
  StreamPlaces(const StreamPlaces&) = delete;
  StreamPlaces& operator=(const StreamPlaces&) = delete;

 private:
  const size_t limit_;
  mutable Mutex mutex_;
  std::list<Place*> taken_ GUARDED_BY(mutex_);  // oldest first
};

}  // namespace berth::door

#endif  // DOOR_STREAM_PLACES_H_
