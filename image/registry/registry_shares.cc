#include "image/registry/registry_shares.h"

#include <utility>

#include "base/strings.h"

namespace berth::image {

RegistryShares::Place::Place(Place&& other) noexcept
    : owner_(std::exchange(other.owner_, nullptr)),
      registry_(std::move(other.registry_)) {}

RegistryShares::Place::~Place() {
  if (owner_ != nullptr) owner_->Release(registry_);
}

StatusOr<RegistryShares::Place> RegistryShares::Acquire(
    const Context& ctx, const std::string& registry) {
  MutexLock lock(mutex_);
  Queue& queue = queues_[registry];
  const uint64_t ticket = next_ticket_++;
  queue.line.push_back(ticket);
  const Status turn = ctx.Await(mutex_, changed_, [&] {
    return queue.line.front() == ticket && queue.at_work < each_;
  });
  std::erase(queue.line, ticket);
  if (turn.ok()) ++queue.at_work;
  changed_.SignalAll();  // the next in line may have come to the front
  if (turn.ok()) return Place(*this, registry);
  Forget(registry);
  return Annotate(turn, "wait for other pulls from " + Quoted(registry));
}

void RegistryShares::Forget(const std::string& registry) {
  const auto it = queues_.find(registry);
  if (it->second.at_work == 0 && it->second.line.empty()) queues_.erase(it);
}

void RegistryShares::Release(const std::string& registry) {
  MutexLock lock(mutex_);
  --queues_[registry].at_work;
  Forget(registry);
  changed_.SignalAll();
}

}  // namespace berth::image
