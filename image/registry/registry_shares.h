#ifndef IMAGE_REGISTRY_REGISTRY_SHARES_H_
#define IMAGE_REGISTRY_REGISTRY_SHARES_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include "base/context.h"
#include "base/mutex.h"
#include "base/status.h"

namespace berth::image {

// How many pulls of one registry are at work at the same time; more wait for
// their turn, in the order in which they came. A registry that is slow or
// silent holds up its own pulls and no others. Thread-safe.
class RegistryShares {
 public:
  // `each`: pulls of one registry at a time, at least 1.
  explicit RegistryShares(size_t each) : each_(each) {}

  // A place at a registry, given back when destroyed. Must not outlive the
  // RegistryShares.
  class [[nodiscard]] Place {
   public:
    Place(Place&& other) noexcept;
    Place& operator=(Place&&) = delete;
    ~Place();

   private:
    friend class RegistryShares;
    Place(RegistryShares& owner, std::string registry)
        : owner_(&owner), registry_(std::move(registry)) {}

    RegistryShares* owner_;  // null: moved from
    std::string registry_;
  };

  // Waits for a place. DEADLINE_EXCEEDED or CANCELLED, naming the registry, if
  // the context ends before.
  StatusOr<Place> Acquire(const Context& ctx, const std::string& registry);

 private:
  struct Queue {
    size_t at_work = 0;
    std::deque<uint64_t> line;  // tickets
  };
  void Forget(const std::string& registry) REQUIRES(mutex_);
  void Release(const std::string& registry);

  const size_t each_;
  Mutex mutex_;
  CondVar changed_;
  uint64_t next_ticket_ GUARDED_BY(mutex_) = 0;
  std::map<std::string, Queue> queues_ GUARDED_BY(mutex_);
};

}  // namespace berth::image

#endif  // IMAGE_REGISTRY_REGISTRY_SHARES_H_
