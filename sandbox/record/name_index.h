#ifndef SANDBOX_RECORD_NAME_INDEX_H_
#define SANDBOX_RECORD_NAME_INDEX_H_

#include <map>
#include <string>
#include <utility>

#include "api/state/v1/state.pb.h"
#include "base/mutex.h"

namespace berth::sandbox {

// Who has which name. A name is held by an object that exists, or by the
// request that is making one, and by nothing else: the claim of a request
// that fails goes away with it.
//
// Thread-safe.
class NameIndex {
 public:
  // The right to a name while an object is being made. Gives it back when
  // destroyed, unless Keep said that the object now exists.
  // Thread-compatible.
  class [[nodiscard]] Claim {
   public:
    Claim(Claim&& other) noexcept;
    Claim& operator=(Claim&&) = delete;
    ~Claim();

    // The name was free: the caller makes object `id()`. Otherwise `id()` has
    // it.
    bool mine() const { return index_ != nullptr; }
    // Not mine, and its maker is still at work.
    bool busy() const { return busy_; }
    const std::string& id() const { return id_; }
    void Keep();
    // The same for an object whose id was not known when the name was taken.
    void Keep(const std::string& id);

   private:
    friend class NameIndex;
    Claim(NameIndex* index, std::string name, std::string id, bool busy)
        : index_(index),
          name_(std::move(name)),
          id_(std::move(id)),
          busy_(busy) {}

    NameIndex* index_;
    std::string name_;
    std::string id_;
    bool busy_;
  };

  // Takes the name for `id` if it is free.
  Claim Take(const std::string& name, const std::string& id);
  // For an object that exists (after a restart).
  void Put(const std::string& name, const std::string& id);
  // If `id` has it.
  void Release(const std::string& name, const std::string& id);

 private:
  struct Holder {
    std::string id;
    bool busy = false;
  };
  Mutex mutex_;
  std::map<std::string, Holder> holders_ GUARDED_BY(mutex_);
};

// The names that must be unique: of a pod its name, namespace, uid and
// attempt; of a standalone sandbox its name; of a container its name and
// attempt within its sandbox.
std::string NameOf(const state::v1::SandboxConfig& config);
std::string NameOf(const std::string& sandbox_id,
                   const state::v1::ContainerConfig& config);
// The only container of a standalone sandbox shares its id, and its name is
// unique on the whole node.
bool IsStandalone(const state::v1::ContainerRecord& container);
std::string StandaloneName(const std::string& name);

}  // namespace berth::sandbox

#endif  // SANDBOX_RECORD_NAME_INDEX_H_
