#ifndef BASE_KEYED_MUTEX_H_
#define BASE_KEYED_MUTEX_H_

#include <functional>
#include <map>
#include <string>

#include "base/context.h"
#include "base/mutex.h"
#include "base/status.h"

namespace berth {

// One lock per object id, made on first use and forgotten when idle.
//
// The managers hold it for a whole lifecycle verb, so that a Remove waits for
// the Start before it while other containers go on. It orders verbs only:
// data that status queries read has its own short-lived mutex.
//
// Thread-safe. Not recursive. Waiters for one key are served in no set order.
class KeyedMutex {
 public:
  // Holds the key until destroyed. Must not outlive the KeyedMutex.
  // Thread-compatible.
  class [[nodiscard]] Lock {
   public:
    Lock(Lock&& other) noexcept;
    Lock& operator=(Lock&&) = delete;
    ~Lock();

    // Lets others in for a while: a verb that waits for a process to exit
    // must not keep a harder verb out. Check the object again after Retake.
    void Give();
    // Waits as Acquire does; on failure the key is not held.
    Status Retake(const Context& ctx);

   private:
    friend class KeyedMutex;
    Lock(KeyedMutex& owner, std::string key);

    KeyedMutex& owner_;
    const std::string key_;
    bool held_ = true;
  };

  // Waits until nobody holds `key`. DEADLINE_EXCEEDED or CANCELLED, naming the
  // key, if the context ends before.
  StatusOr<Lock> Acquire(const Context& ctx, const std::string& key)
      EXCLUDES(mutex_);

 private:
  struct Entry {
    bool held = false;
    int waiters = 0;
  };

  Status Take(const Context& ctx, const std::string& key) EXCLUDES(mutex_);
  void Forget(const std::string& key) REQUIRES(mutex_);
  void Release(const std::string& key) EXCLUDES(mutex_);

  Mutex mutex_;
  CondVar released_;
  std::map<std::string, Entry, std::less<>> entries_ GUARDED_BY(mutex_);
};

}  // namespace berth

#endif  // BASE_KEYED_MUTEX_H_
