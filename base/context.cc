#include "base/context.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <stop_token>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/unique_fd.h"

namespace berth {

// A node of a tree: cancelling one cancels all below it.
class Context::Cancellation {
 public:
  Cancellation() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  bool cancelled() const { return stop_.stop_requested(); }
  std::stop_token stop_token() const { return stop_.get_token(); }
  int fd() const { return event_.get(); }

  void Cancel() {
    std::vector<std::weak_ptr<Cancellation>> children;
    {
      MutexLock lock(mutex_);
      if (!stop_.request_stop()) return;
      children.swap(children_);
    }
    eventfd_write(event_.get(), 1);
    for (const std::weak_ptr<Cancellation>& weak : children) {
      if (const std::shared_ptr<Cancellation> child = weak.lock()) {
        child->Cancel();
      }
    }
  }

  void Adopt(const std::shared_ptr<Cancellation>& child) {
    {
      MutexLock lock(mutex_);
      if (!cancelled()) {
        std::erase_if(children_, [](const std::weak_ptr<Cancellation>& weak) {
          return weak.expired();
        });
        children_.push_back(child);
        return;
      }
    }
    child->Cancel();
  }

 private:
  const UniqueFd event_;
  std::stop_source stop_;
  Mutex mutex_;
  std::vector<std::weak_ptr<Cancellation>> children_ GUARDED_BY(mutex_);
};

Context::Context(std::string request_id) : request_id_(std::move(request_id)) {}

Context Context::Background(std::string request_id) {
  return Context(std::move(request_id));
}

Context Context::WithTimeout(Duration timeout) const {
  return WithDeadline(
      std::chrono::steady_clock::now() +
      std::chrono::duration_cast<SteadyTime::duration>(timeout));
}

Context Context::WithDeadline(SteadyTime deadline) const {
  Context narrower = *this;
  if (!deadline_.has_value() || deadline < *deadline_) {
    narrower.deadline_ = deadline;
  }
  return narrower;
}

Context Context::WithCancel() const {
  Context child = *this;
  child.cancellation_ = std::make_shared<Cancellation>();
  if (cancellation_ != nullptr) cancellation_->Adopt(child.cancellation_);
  return child;
}

Duration Context::Remaining(Duration limit) const {
  if (!deadline_.has_value()) return limit;
  const Duration left = *deadline_ - std::chrono::steady_clock::now();
  return std::clamp(left, Duration::zero(), limit);
}

Status Context::Check() const {
  if (cancelled()) return Cancelled("the caller has gone away");
  if (deadline_.has_value() && std::chrono::steady_clock::now() >= *deadline_) {
    return DeadlineExceeded("the request ran out of time");
  }
  return OkStatus();
}

void Context::Cancel() const {
  // Whoever sees that it is cancelled may let go of this Context at once.
  const std::shared_ptr<Cancellation> kept = cancellation_;
  if (kept != nullptr) kept->Cancel();
}

bool Context::cancelled() const {
  return cancellation_ != nullptr && cancellation_->cancelled();
}

std::stop_token Context::stop_token() const {
  return cancellation_ == nullptr ? std::stop_token()
                                  : cancellation_->stop_token();
}

int Context::cancel_fd() const {
  return cancellation_ == nullptr ? -1 : cancellation_->fd();
}

}  // namespace berth
