// Mounts that show other owners than the disk holds: the ids of a user
// namespace, whose root then owns what the disk says is root's.
//
// Source: mount_setattr(2) "ID-mapped mounts", user_namespaces(7); overlayfs
// over such layers since Linux 5.19.
#ifndef BASE_SYS_ID_MAPPED_H_
#define BASE_SYS_ID_MAPPED_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/sys/mount_options.h"
#include "base/unique_fd.h"

namespace berth {

// A line of /proc/PID/uid_map.
struct IdRange {
  uint32_t inside = 0;   // the namespace's
  uint32_t outside = 0;  // its parent's
  uint32_t size = 0;

  bool operator==(const IdRange&) const = default;
};

struct IdMaps {
  std::vector<IdRange> uids;
  std::vector<IdRange> gids;

  bool empty() const { return uids.empty() && gids.empty(); }
  bool operator==(const IdMaps&) const = default;
};

// As /proc/PID/uid_map takes it. Pure.
std::string IdMapText(const std::vector<IdRange>& ranges);
// The id outside; nothing if it is not mapped. Pure.
std::optional<uint32_t> OutsideId(const std::vector<IdRange>& ranges,
                                  uint32_t inside);

// A user namespace that no process is in: only its mappings are of use. Any
// thread may call this: the child that makes it does system calls only.
StatusOr<UniqueFd> MakeUserNamespace(const IdMaps& maps);

// The words "uidmap=IN:OUT:SIZE,...", "gidmap=..." that containerd's mounts
// carry, and which MountAt understands. Pure.
std::vector<std::string> IdMapOptions(const IdMaps& maps);
// Takes them out of `options`. INVALID_ARGUMENT if they are not well-formed.
StatusOr<IdMaps> TakeIdMapOptions(std::vector<std::string>& options);

// A copy of what is mounted at `source`, mapped; attached nowhere yet.
// `recursive`: with the mounts below; `map_all`: they are mapped too.
// UNIMPLEMENTED if the file system cannot do that.
StatusOr<UniqueFd> CloneMappedMount(const std::string& source, bool recursive,
                                    int user_namespace, bool map_all);

// For a kernel that cannot map a tmpfs (before 6.3): what is mounted at
// `source` as it is, after a directory there that is empty was given to the
// owner that its own is mapped to. One that has such an owner already is left
// alone. UNIMPLEMENTED for another file system, and for a tmpfs with files,
// whose owners nobody may change behind their maker's back.
StatusOr<UniqueFd> CloneGivenMount(const std::string& source, bool recursive,
                                   const IdMaps& maps);

// The lower directories of an overlay, each seen through a mapped mount, for
// as long as this lives: mounting the overlay makes it independent. Needs a
// directory to attach the mounts in, which it makes and removes.
class MappedLayers {
 public:
  // Of "lowerdir=..." in `options`, which then names the mapped ones.
  static StatusOr<MappedLayers> Map(std::vector<std::string>& options,
                                    int user_namespace,
                                    const std::string& directory);
  MappedLayers(MappedLayers&&) = default;
  MappedLayers& operator=(MappedLayers&&) = delete;
  ~MappedLayers();

 private:
  explicit MappedLayers(std::string directory)
      : directory_(std::move(directory)) {}
  // The number of the mount that shows what is in `parent`.
  StatusOr<int> MountOf(const std::string& parent, int user_namespace);

  std::string directory_;
  std::vector<std::string> parents_;
  std::vector<UniqueFd> mounts_;
};

// The root of an overlay looks like its upper directory: one that still has the
// owner of the topmost lower directory gets the one that this is mapped to.
Status GiveUpperDirectory(const std::vector<std::string>& options,
                          const IdMaps& maps);

// OK if a directory's file system, and overlayfs on it, can be mapped;
// UNIMPLEMENTED with the reason if not. Leaves nothing behind.
Status ProbeMappedOverlay(const std::string& directory);

}  // namespace berth

#endif  // BASE_SYS_ID_MAPPED_H_
