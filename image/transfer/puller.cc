#include "image/transfer/puller.h"

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "base/thread.h"

namespace berth::image {
namespace {

// What one caller has not been told yet: of each layer the latest only, so that
// it is bounded however slow the caller is. Guarded by the pull's mutex.
class News {
 public:
  void Add(const Progress& progress) {
    const auto [it, first] = latest_.insert_or_assign(progress.layer, progress);
    if (first) order_.push_back(progress.layer);
  }
  bool empty() const { return order_.empty(); }
  std::vector<Progress> Take() {
    std::vector<Progress> all;
    for (const Digest& layer : order_) all.push_back(latest_.at(layer));
    order_.clear();
    latest_.clear();
    return all;
  }

 private:
  std::map<Digest, Progress> latest_;
  std::vector<Digest> order_;
};

}  // namespace

// One pull and those who wait for it.
class Puller::Flight {
 public:
  // RESOURCE_EXHAUSTED if no thread can be made.
  static StatusOr<std::shared_ptr<Flight>> Start(const std::string& request_id,
                                                 const Work& work) {
    // The caller's deadline is its own; others may be more patient.
    auto flight =
        std::make_shared<Flight>(Context::Background(request_id).WithCancel());
    Flight* const raw = flight.get();
    ASSIGN_OR_RETURN(flight->thread_, StartThread("image-pull", [raw, work] {
                       raw->Run(work);
                     }));
    return flight;
  }
  explicit Flight(Context ctx) : ctx_(std::move(ctx)) {}
  ~Flight() { ctx_.Cancel(); }  // and joins the thread

  void Cancel() { ctx_.Cancel(); }
  bool done() const {
    MutexLock lock(mutex_);
    return result_.has_value();
  }

  // Tells `report` in the caller's own thread: whoever is slow to hear holds
  // up neither the pull nor the others who wait for it.
  StatusOr<std::string> Wait(const Context& ctx,
                             const ProgressFunction& report) {
    News news;
    if (report) Listen(news);
    StatusOr<std::vector<Progress>> heard = AwaitNews(ctx, news);
    while (heard.ok() && !heard->empty()) {
      for (const Progress& progress : *heard) report(progress);
      heard = AwaitNews(ctx, news);
    }
    MutexLock lock(mutex_);
    listeners_.erase(&news);
    if (result_) return *result_;
    return heard.status();
  }

  int waiters = 0;  // the Puller's

 private:
  void Listen(News& news) {
    MutexLock lock(mutex_);
    listeners_.insert(&news);
  }

  // Nothing: the pull has ended.
  StatusOr<std::vector<Progress>> AwaitNews(const Context& ctx, News& news) {
    RETURN_IF_ERROR(ctx.Check());  // however much there is to tell
    MutexLock lock(mutex_);
    RETURN_IF_ERROR(
        ctx.Await(mutex_, changed_, [&]() NO_THREAD_SAFETY_ANALYSIS {
          return result_.has_value() || !news.empty();
        }));
    return news.Take();
  }

  void Run(const Work& work) {
    StatusOr<std::string> result = Internal("the pull broke off");
    const absl::Cleanup finish = [&] {
      MutexLock lock(mutex_);
      result_ = std::move(result);
      changed_.SignalAll();
    };
    result = work(ctx_, [this](const Progress& progress) {
      MutexLock lock(mutex_);
      for (News* const listener : listeners_) listener->Add(progress);
      changed_.SignalAll();
    });
  }

  const Context ctx_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::optional<StatusOr<std::string>> result_ GUARDED_BY(mutex_);
  std::set<News*> listeners_ GUARDED_BY(mutex_);
  Thread thread_;  // last: it uses the others
};

Puller::~Puller() {
  std::map<std::string, std::shared_ptr<Flight>> flights;
  std::list<std::shared_ptr<Flight>> abandoned;
  MutexLock lock(mutex_);
  flights.swap(flights_);
  abandoned.swap(abandoned_);
}

StatusOr<std::string> Puller::Pull(const Context& ctx, const std::string& key,
                                   const Work& work,
                                   const ProgressFunction& report) {
  RETURN_IF_ERROR(ctx.Check());
  Reap();
  ASSIGN_OR_RETURN(const std::shared_ptr<Flight> flight, Join(ctx, key, work));
  StatusOr<std::string> result = flight->Wait(ctx, report);
  Leave(key, flight);
  return result;
}

StatusOr<std::shared_ptr<Puller::Flight>> Puller::Join(const Context& ctx,
                                                       const std::string& key,
                                                       const Work& work) {
  MutexLock lock(mutex_);
  auto it = flights_.find(key);
  // A finished one takes no more passengers: what they want may be newer.
  if (it == flights_.end() || it->second->done()) {
    ASSIGN_OR_RETURN(std::shared_ptr<Flight> flight,
                     Flight::Start(ctx.request_id(), work));
    it = flights_.insert_or_assign(key, std::move(flight)).first;
  }
  ++it->second->waiters;
  return it->second;
}

void Puller::Leave(const std::string& key,
                   const std::shared_ptr<Flight>& flight) {
  MutexLock lock(mutex_);
  const bool last = --flight->waiters == 0;
  const auto it = flights_.find(key);
  const bool current = it != flights_.end() && it->second == flight;
  if (current && (last || flight->done())) flights_.erase(it);
  if (!last) return;
  flight->Cancel();
  abandoned_.push_back(flight);
}

void Puller::Reap() {
  std::list<std::shared_ptr<Flight>> ended;  // joined without the lock
  MutexLock lock(mutex_);
  for (auto it = abandoned_.begin(); it != abandoned_.end();) {
    const auto next = std::next(it);
    if ((*it)->done()) ended.splice(ended.end(), abandoned_, it);
    it = next;
  }
}

}  // namespace berth::image
