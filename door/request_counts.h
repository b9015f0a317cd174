#ifndef DOOR_REQUEST_COUNTS_H_
#define DOOR_REQUEST_COUNTS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"

namespace berth::door {

// How many requests have ended since the daemon's start, and how long they
// took together. RequestRecord adds each request when it adds its line to the
// log, which costs far more.
//
// Clients choose the methods of HTTP: those that are long, and those beyond
// the first sixty-four of a door, are counted as "other".
//
// Thread-safe; the lock is short.
class RequestCounts {
 public:
  struct Count {
    std::string door;
    std::string method;
    StatusCode code = StatusCode::kOk;
    uint64_t requests = 0;
    Duration time{};
  };

  RequestCounts() = default;
  RequestCounts(const RequestCounts&) = delete;
  RequestCounts& operator=(const RequestCounts&) = delete;

  void Add(const std::string& door, const std::string& method, StatusCode code,
           Duration time);
  // Sorted by door, method and code.
  std::vector<Count> Read() const;

 private:
  struct Sum {
    uint64_t requests = 0;
    Duration time{};
  };
  using ByCode = std::map<StatusCode, Sum>;
  using ByMethod = std::map<std::string, ByCode>;

  mutable Mutex mutex_;
  std::map<std::string, ByMethod> doors_ GUARDED_BY(mutex_);
};

}  // namespace berth::door

#endif  // DOOR_REQUEST_COUNTS_H_
