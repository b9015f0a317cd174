#ifndef CRI_USAGE_CACHE_H_
#define CRI_USAGE_CACHE_H_

#include <functional>
#include <map>
#include <string>

#include "api/cri/v1/image.pb.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"

namespace berth::cri {

namespace v1 = ::runtime::v1;

// Sizes of writable layers. To measure one is to walk all of it, and every
// reader of statistics asks for every layer: so an answer may be ten seconds
// old, or older if it took long to get. Its timestamp says when it was true.
// Thread-safe.
class UsageCache {
 public:
  using Measure =
      std::function<StatusOr<v1::FilesystemUsage>(const std::string& key)>;
  using Clock = std::function<SteadyTime()>;

  explicit UsageCache(Measure measure,
                      Clock clock = std::chrono::steady_clock::now);

  // Errors are not kept.
  StatusOr<v1::FilesystemUsage> Get(const std::string& key) EXCLUDES(mutex_);

 private:
  struct Entry {
    v1::FilesystemUsage usage;
    SteadyTime good_until;
  };

  const Measure measure_;
  const Clock clock_;
  Mutex mutex_;
  std::map<std::string, Entry> entries_ GUARDED_BY(mutex_);
  SteadyTime swept_ GUARDED_BY(mutex_);
};

}  // namespace berth::cri

#endif  // CRI_USAGE_CACHE_H_
