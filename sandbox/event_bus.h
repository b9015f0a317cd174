#ifndef SANDBOX_EVENT_BUS_H_
#define SANDBOX_EVENT_BUS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "api/state/v1/state.pb.h"
#include "base/clock.h"
#include "base/context.h"
#include "base/mutex.h"
#include "base/status.h"

namespace berth::sandbox {

// Something that happened to a sandbox or a container. Published after the
// record that shows it is saved: a reader that asks Inventory next sees at
// least this.
struct Event {
  enum class Type {
    kSandboxCreated,
    kSandboxStarted,
    kSandboxStopped,
    kSandboxRemoved,
    kContainerCreated,
    kContainerStarted,
    kContainerKilled,  // its time to stop was over; its exit follows
    kContainerExited,
    kContainerRemoved,
    kContainerPaused,
    kContainerResumed,
    kContainerUpdated,
    kContainerOom,
    kContainerRenamed,
    kExecStarted,
    kExecExited,
  };

  Type type = Type::kSandboxCreated;
  std::string sandbox_id;
  std::string container_id;  // empty: of the sandbox itself
  bool of_pod = true;        // rather than of a standalone sandbox
  UnixNanos time = 0;
  int exit_code = 0;   // kContainerExited, kExecExited
  std::string detail;  // reason of an exit; exec id; new name
  // The sandbox and all its containers at the time of the event, for events of
  // a lifecycle: a reader that asks later may find them changed, or gone.
  std::shared_ptr<const state::v1::SandboxRecord> sandbox;
  std::vector<std::shared_ptr<const state::v1::ContainerRecord>> containers;
};

// Which events a reader wants; an empty list is no restriction.
struct EventFilter {
  std::vector<Event::Type> types;
  std::string sandbox_id;
  std::string container_id;
};

// One reader's queue. Thread-safe. May outlive the bus: Next then ends.
class Subscription {
 public:
  Subscription(EventFilter filter, size_t capacity);

  // Waits for the next event until the context ends. RESOURCE_EXHAUSTED, once,
  // when events were lost because the reader was slow; the oldest that is left
  // follows. CANCELLED when the bus is gone.
  StatusOr<Event> Next(const Context& ctx);

 private:
  friend class EventBus;
  void Offer(const Event& event);
  void Close();

  const EventFilter filter_;
  const size_t capacity_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<Event> queue_ GUARDED_BY(mutex_);
  uint64_t lost_ GUARDED_BY(mutex_) = 0;
  bool closed_ GUARDED_BY(mutex_) = false;
};

// Tells readers what happened. Bounded queues: a slow reader loses the oldest
// events and is told; a publisher never waits. Thread-safe.
class EventBus {
 public:
  static constexpr size_t kDefaultCapacity = 1024;

  EventBus() = default;
  EventBus(const EventBus&) = delete;
  EventBus& operator=(const EventBus&) = delete;
  ~EventBus();

  void Publish(const Event& event);
  std::shared_ptr<Subscription> Subscribe(const EventFilter& filter,
                                          size_t capacity = kDefaultCapacity);

 private:
  Mutex mutex_;
  std::vector<std::weak_ptr<Subscription>> readers_ GUARDED_BY(mutex_);
};

}  // namespace berth::sandbox

#endif  // SANDBOX_EVENT_BUS_H_
