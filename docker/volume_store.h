#ifndef DOCKER_VOLUME_STORE_H_
#define DOCKER_VOLUME_STORE_H_

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/keyed_mutex.h"
#include "base/mutex.h"
#include "base/status.h"

namespace berth::docker {

struct Volume {
  std::string name;
  std::string mountpoint;  // <directory>/<name>/_data
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> options;
  UnixNanos created = 0;
  bool anonymous() const;
  // Something is mounted on the mountpoint while the volume is used.
  bool mounted() const { return !options.empty(); }
};

// Volumes of the "local" driver: directories that outlive containers. Each is
// <directory>/<name>/ with _data, what containers see, and volume.json, its
// record; a volume without a record was not finished and does not exist. A file
// "abandoned" beside it marks one that Sweep is to look at. One that was made
// with the options type, device and o, as mount(8) has them, is what these say:
// it is mounted on _data between Attach and Detach.
//
// Verbs on one volume wait for each other, until their contexts end.
// Thread-safe.
class VolumeStore {
 public:
  explicit VolumeStore(std::string directory);

  const std::string& directory() const { return directory_; }

  // That of the name if it exists already, whatever it was made with.
  // INVALID_ARGUMENT for options that are incomplete or others.
  StatusOr<Volume> Create(const Context& ctx, const std::string& name,
                          const std::map<std::string, std::string>& labels,
                          const std::map<std::string, std::string>& options);
  StatusOr<Volume> Get(const std::string& name) const;
  // Without those whose record cannot be read: Sweep reports these.
  StatusOr<std::vector<Volume>> List() const;
  // Keeps a volume, which need not be made yet, from being removed: for a
  // container that uses it and has no record yet. Must not outlive the store.
  // Thread-compatible.
  class [[nodiscard]] Use {
   public:
    Use(Use&& other) noexcept
        : store_(std::exchange(other.store_, nullptr)),
          name_(std::move(other.name_)) {}
    Use& operator=(Use&&) = delete;
    ~Use();

   private:
    friend class VolumeStore;
    Use(VolumeStore* store, std::string name)
        : store_(store), name_(std::move(name)) {}
    VolumeStore* store_;
    std::string name_;
  };
  Use BeginUse(const std::string& name);

  // Mounts what the volume's options say, unless it is mounted. NOT_FOUND
  // without the volume; FAILED_PRECONDITION for what cannot be mounted, or not
  // in time as its server does not answer.
  Status Attach(const Context& ctx, const std::string& name);
  // Unmounts that, unless the volume is in use, or `users` has any.
  Status Detach(const Context& ctx, const std::string& name,
                const std::function<std::vector<std::string>()>& users);

  // NOT_FOUND; FAILED_PRECONDITION if it is in use, or `users`, which is asked
  // after that, has any. One whose record cannot be read is removed as well.
  // After an error it may be gone with its files left: once more removes them.
  Status Remove(const Context& ctx, const std::string& name,
                const std::function<std::vector<std::string>()>& users);
  // From here on the volume, which need not be made yet, is one that Sweep
  // removes if nobody uses it then: before a container that it belongs to is
  // made, and before it is removed together with one.
  Status Abandon(const std::string& name);
  bool IsAbandoned(const std::string& name) const;
  // Takes that back. Needs no space on the disk.
  Status Claim(const std::string& name);
  // Removes what is left of volumes that were not finished, or whose removal
  // was not, and abandoned ones; those that are `in_use` are claimed. The
  // error of a record that cannot be read, after all the others have been seen
  // to.
  Status Sweep(const Context& ctx,
               const std::function<bool(const std::string&)>& in_use);

 private:
  std::string PathOf(const std::string& name) const;
  std::string MarkOf(const std::string& name) const;
  // What was mounted in it stays as it is.
  Status RemoveFiles(const Context& ctx, const std::string& name) const;
  Status FinishRemoval(const Context& ctx, const std::string& name);
  StatusOr<std::vector<std::string>> Names() const;

  const std::string directory_;
  KeyedMutex verbs_;
  Mutex mutex_;
  std::map<std::string, int> uses_ GUARDED_BY(mutex_);
  // Gone but for their files, which could not be removed.
  std::set<std::string> left_ GUARDED_BY(mutex_);
};

}  // namespace berth::docker

#endif  // DOCKER_VOLUME_STORE_H_
