#ifndef IMAGE_TRANSFER_FETCH_TURNS_H_
#define IMAGE_TRANSFER_FETCH_TURNS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/context.h"
#include "base/mutex.h"
#include "base/status.h"

namespace berth::image {

// Whose turn it is to fetch a blob that several pulls want: one has it, and the
// others wait for what it brings. A registry that sends next to nothing must
// not hold up those that could have the blob from another one: who has brought
// nothing for `patience` loses the turn to such a pull, and may take another
// one after those whose origin has not been found silent.
//
// Each origin loses a turn once at most while anybody wants the blob, so that
// silent ones do not take turns for ever. Thread-safe.
class FetchTurns {
 public:
  explicit FetchTurns(Duration patience) : patience_(patience) {}

  // Held until destroyed. Must not outlive the FetchTurns. Thread-safe, but for
  // its move and its end.
  class [[nodiscard]] Turn {
   public:
    Turn(Turn&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)),
          key_(std::move(other.key_)),
          work_(std::move(other.work_)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn();

    // Ends with the context of Take, and when the turn is lost.
    const Context& ctx() const { return work_; }
    // So many bytes are there; fewer than before when they come anew.
    void Advance(uint64_t bytes);
    // Somebody waits who may have the blob from elsewhere.
    bool lost() const;

   private:
    friend class FetchTurns;
    Turn(FetchTurns* owner, std::string key, Context work)
        : owner_(owner), key_(std::move(key)), work_(std::move(work)) {}
    FetchTurns* owner_;
    std::string key_;
    Context work_;
  };

  // Waits for the turn. `origin` is where the bytes would come from; an empty
  // one never loses a turn. DEADLINE_EXCEEDED or CANCELLED, naming the key, if
  // the context ends before.
  StatusOr<Turn> Take(const Context& ctx, const std::string& key,
                      const std::string& origin) EXCLUDES(mutex_);

 private:
  struct Entry {
    std::optional<Context> work;  // of who has the turn
    std::string origin;           // likewise
    bool lost = false;
    SteadyTime moved;
    uint64_t counted = 0;                // bytes, when it `moved`
    std::map<std::string, int> waiting;  // by origin
    std::set<std::string> silent;        // origins that have lost a turn
    uint64_t changes = 0;                // of all above but the bytes
  };

  Status Await(const Context& ctx, Entry& entry, const std::string& origin)
      REQUIRES(mutex_);
  static bool IsNext(const Entry& entry, const std::string& origin);
  void Changed(const std::string& key) REQUIRES(mutex_);

  const Duration patience_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::map<std::string, Entry, std::less<>> entries_ GUARDED_BY(mutex_);
};

}  // namespace berth::image

#endif  // IMAGE_TRANSFER_FETCH_TURNS_H_
