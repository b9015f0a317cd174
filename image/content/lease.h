#ifndef IMAGE_CONTENT_LEASE_H_
#define IMAGE_CONTENT_LEASE_H_

#include <functional>
#include <map>
#include <set>

#include "base/digest.h"
#include "base/mutex.h"
#include "base/status.h"

namespace berth::image {

// What a pull in progress needs though no record names it yet: blobs and
// layers that the garbage collector must leave alone. Thread-safe.
class Leases {
 public:
  // Holds digests until destroyed. Must not outlive the Leases.
  // Thread-compatible.
  class [[nodiscard]] Lease {
   public:
    explicit Lease(Leases& owner) : owner_(owner) {}
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    // Before it is asked whether the blob or layer is there.
    void Add(const Digest& digest);
    // Whether no other lease holds it. Thread-safe.
    bool IsAlone(const Digest& digest) const;

   private:
    Leases& owner_;
    std::set<Digest> held_;
  };

  // Runs `collect` with all that is held; nothing more is while it runs.
  Status Freeze(const std::function<Status(const std::set<Digest>&)>& collect);

 private:
  Mutex mutex_;
  std::map<Digest, int> counts_ GUARDED_BY(mutex_);
};

}  // namespace berth::image

#endif  // IMAGE_CONTENT_LEASE_H_
