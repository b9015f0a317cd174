#ifndef IMAGE_TRANSFER_PULLER_H_
#define IMAGE_TRANSFER_PULLER_H_

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "base/context.h"
#include "base/mutex.h"
#include "base/status.h"
#include "image/transfer/installer.h"

namespace berth::image {

// Pulls that run at the same time, one for each image: who asks for what is
// being pulled already joins and shares its outcome. A pull runs on a thread of
// its own and ends early only when nobody waits for it any more.
//
// Thread-safe. The destructor cancels all and waits.
class Puller {
 public:
  // Does the work and returns the image's id.
  using Work = std::function<StatusOr<std::string>(
      const Context& ctx, const ProgressFunction& report)>;

  Puller() = default;
  ~Puller();
  Puller(const Puller&) = delete;
  Puller& operator=(const Puller&) = delete;

  // Runs `work`, or joins the one that runs under the same key. `report` is
  // called in the calling thread, and not again after the return: a listener
  // that blocks delays nobody but itself, and is told the latest state of each
  // layer when it comes back. RESOURCE_EXHAUSTED if no thread can be made.
  StatusOr<std::string> Pull(const Context& ctx, const std::string& key,
                             const Work& work, const ProgressFunction& report);

 private:
  class Flight;
  StatusOr<std::shared_ptr<Flight>> Join(const Context& ctx,
                                         const std::string& key,
                                         const Work& work);
  void Leave(const std::string& key, const std::shared_ptr<Flight>& flight);
  // Joins the threads of flights that have ended.
  void Reap();

  Mutex mutex_;
  std::map<std::string, std::shared_ptr<Flight>> flights_ GUARDED_BY(mutex_);
  std::list<std::shared_ptr<Flight>> abandoned_ GUARDED_BY(mutex_);
};

}  // namespace berth::image

#endif  // IMAGE_TRANSFER_PULLER_H_
