#include "sandbox/event_bus.h"

#include <algorithm>
#include <utility>

namespace berth::sandbox {
namespace {

bool Matches(const EventFilter& filter, const Event& event) {
  if (!filter.types.empty() &&
      std::find(filter.types.begin(), filter.types.end(), event.type) ==
          filter.types.end()) {
    return false;
  }
  if (!filter.sandbox_id.empty() && filter.sandbox_id != event.sandbox_id) {
    return false;
  }
  return filter.container_id.empty() ||
         filter.container_id == event.container_id;
}

}  // namespace

Subscription::Subscription(EventFilter filter, size_t capacity)
    : filter_(std::move(filter)), capacity_(std::max<size_t>(capacity, 1)) {}

StatusOr<Event> Subscription::Next(const Context& ctx) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR_AS(ctx.Await(mutex_, changed_,
                               [this]() NO_THREAD_SAFETY_ANALYSIS {
                                 return !queue_.empty() || lost_ > 0 || closed_;
                               }),
                     "wait for an event");
  if (const uint64_t lost = std::exchange(lost_, 0); lost > 0) {
    return ResourceExhausted("events lost by a slow reader: " +
                             std::to_string(lost));
  }
  if (queue_.empty()) return Cancelled("wait for an event: bus closed");
  Event event = std::move(queue_.front());
  queue_.pop_front();
  return event;
}

void Subscription::Offer(const Event& event) {
  if (!Matches(filter_, event)) return;
  MutexLock lock(mutex_);
  if (queue_.size() >= capacity_) {
    queue_.pop_front();
    ++lost_;
  }
  queue_.push_back(event);
  changed_.Signal();
}

void Subscription::Close() {
  MutexLock lock(mutex_);
  closed_ = true;
  changed_.SignalAll();
}

EventBus::~EventBus() {
  MutexLock lock(mutex_);
  for (const auto& weak : readers_) {
    if (auto reader = weak.lock()) reader->Close();
  }
}

void EventBus::Publish(const Event& event) {
  Event stamped = event;
  if (stamped.time == 0) stamped.time = Now();
  MutexLock lock(mutex_);
  std::erase_if(readers_, [&](const std::weak_ptr<Subscription>& weak) {
    const auto reader = weak.lock();
    if (reader) reader->Offer(stamped);
    return !reader;
  });
}

std::shared_ptr<Subscription> EventBus::Subscribe(const EventFilter& filter,
                                                  size_t capacity) {
  auto reader = std::make_shared<Subscription>(filter, capacity);
  MutexLock lock(mutex_);
  readers_.push_back(reader);
  return reader;
}

}  // namespace berth::sandbox
