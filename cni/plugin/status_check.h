#ifndef CNI_PLUGIN_STATUS_CHECK_H_
#define CNI_PLUGIN_STATUS_CHECK_H_

#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/context.h"
#include "base/keyed_mutex.h"
#include "base/mutex.h"
#include "base/status.h"

namespace berth::cni {

// Whether plugins say that they can attach sandboxes now (the verb STATUS of
// CNI specification 1.1.0, section 2). Clients ask every few seconds, and each
// answer costs processes: so an answer counts for a while, one caller at a time
// asks, and nobody waits longer than the limit. Thread-safe.
class StatusCheck {
 public:
  using Ask = std::function<Status(const Context&)>;

  StatusCheck(Duration good_for, Duration limit)
      : good_for_(good_for), limit_(limit) {}

  // UNAVAILABLE, with what the plugin said, unless it is OK. `what` is what is
  // asked about: of something else no old answer counts.
  Status Get(const std::string& what, const Ask& ask);

 private:
  std::optional<Status> Last(const std::string& what) EXCLUDES(mutex_);

  const Duration good_for_;
  const Duration limit_;
  KeyedMutex asking_;
  Mutex mutex_;
  std::string what_ GUARDED_BY(mutex_);
  Status answer_ GUARDED_BY(mutex_);
  std::optional<SteadyTime> answered_ GUARDED_BY(mutex_);
};

}  // namespace berth::cni

#endif  // CNI_PLUGIN_STATUS_CHECK_H_
