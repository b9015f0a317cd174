#include "image/puller.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "base/unique_fd.h"

namespace berth::image {

// One pull and those who wait for it.
class Puller::Flight {
 public:
  Flight(Context ctx, const Work& work)
      : ctx_(std::move(ctx)),
        done_fd_(eventfd(0, EFD_CLOEXEC)),
        thread_([this, work] { Run(work); }) {}
  ~Flight() {
    ctx_.Cancel();
    thread_.join();
  }

  void Cancel() { ctx_.Cancel(); }
  bool done() const {
    MutexLock lock(mutex_);
    return result_.has_value();
  }

  StatusOr<std::string> Wait(const Context& ctx,
                             const ProgressFunction& report) {
    {
      MutexLock lock(mutex_);
      if (report) listeners_.insert(&report);
    }
    Status status;
    while (status.ok() && !done()) {
      pollfd fds[] = {{done_fd_.get(), POLLIN, 0},
                      {ctx.cancel_fd(), POLLIN, 0}};
      const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(
          ctx.Remaining(std::chrono::seconds(60)));
      poll(fds, 2, static_cast<int>(limit.count()) + 1);
      status = ctx.Check();
    }
    MutexLock lock(mutex_);
    listeners_.erase(&report);
    if (result_) return *result_;
    return status;
  }

  int waiters = 0;  // the Puller's

 private:
  void Run(const Work& work) {
    StatusOr<std::string> result = work(ctx_, [this](const Progress& progress) {
      MutexLock lock(mutex_);
      for (const ProgressFunction* listener : listeners_) {
        (*listener)(progress);
      }
    });
    MutexLock lock(mutex_);
    result_ = std::move(result);
    eventfd_write(done_fd_.get(), 1);
  }

  const Context ctx_;
  const UniqueFd done_fd_;
  mutable Mutex mutex_;
  std::optional<StatusOr<std::string>> result_ GUARDED_BY(mutex_);
  std::set<const ProgressFunction*> listeners_ GUARDED_BY(mutex_);
  std::thread thread_;  // last: it uses the others
};

Puller::~Puller() {
  MutexLock lock(mutex_);
  flights_.clear();
  abandoned_.clear();
}

StatusOr<std::string> Puller::Pull(const Context& ctx, const std::string& key,
                                   const Work& work,
                                   const ProgressFunction& report) {
  RETURN_IF_ERROR(ctx.Check());
  const std::shared_ptr<Flight> flight = Join(ctx, key, work);
  StatusOr<std::string> result = flight->Wait(ctx, report);
  Leave(key, flight);
  return result;
}

std::shared_ptr<Puller::Flight> Puller::Join(const Context& ctx,
                                             const std::string& key,
                                             const Work& work) {
  MutexLock lock(mutex_);
  Reap();
  std::shared_ptr<Flight>& flight = flights_[key];
  if (flight == nullptr) {
    // The caller's deadline is its own; others may be more patient.
    flight = std::make_shared<Flight>(
        Context::Background(ctx.request_id()).WithCancel(), work);
  }
  ++flight->waiters;
  return flight;
}

void Puller::Leave(const std::string& key,
                   const std::shared_ptr<Flight>& flight) {
  MutexLock lock(mutex_);
  const bool last = --flight->waiters == 0;
  const auto it = flights_.find(key);
  const bool current = it != flights_.end() && it->second == flight;
  // A finished one takes no more passengers: what they want may be newer.
  if (current && (last || flight->done())) flights_.erase(it);
  if (!last) return;
  flight->Cancel();
  abandoned_.push_back(flight);
}

void Puller::Reap() {
  abandoned_.remove_if(
      [](const std::shared_ptr<Flight>& flight) { return flight->done(); });
}

}  // namespace berth::image
