#ifndef IMAGE_LAYER_LAYER_APPLIER_H_
#define IMAGE_LAYER_LAYER_APPLIER_H_

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/context.h"
#include "base/fs/rooted_path.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "image/layer/layer_reader.h"
#include "image/layer/layer_stack.h"
#include "image/rootfs_provider.h"

namespace berth::image {

// Writes one layer into a directory of its own, in overlayfs's form: a
// whiteout becomes a character device 0/0, an opaque directory gets
// trusted.overlay.opaque. No lower layer is needed, so layers unpack at the
// same time and in any order; what does depend on them is made good by
// Complete, once they are there.
//
// The entries are the image's and may attack: every name is resolved beneath
// the directory by openat2(2), nothing is followed at the last component, and
// what a layer must not say (overlay markers, device 0/0, links out, ids and
// sizes out of range) is refused or dropped. OCI image specification,
// layer.md; CVE-2021-32760, CVE-2025-47290, CVE-2018-15664.
//
// Errors name the entry; INVALID_ARGUMENT for its form, FAILED_PRECONDITION
// for our limits, RESOURCE_EXHAUSTED for the disk. What was written by then
// stays for the caller to remove. Single-threaded.
class LayerApplier {
 public:
  // `directory`: open, empty, on a file system with xattrs.
  explicit LayerApplier(UniqueFd directory);

  // Unpacks all entries.
  Status Apply(const Context& ctx, LayerReader& layer);

  // Gives directories that the layer needs but does not list the attributes
  // they have below, links names to files that a lower layer has, and sets the
  // times of directories. `lower` has no directories for a base layer.
  Status Complete(const LayerStack& lower);

  // Of what was written.
  DiskUsage usage() const { return usage_; }

 private:
  // Open as long as this is, whatever the cache below closes meanwhile.
  struct Handle {
    std::shared_ptr<const UniqueFd> owner;  // empty for the root
    int fd;
  };
  // Where an entry goes: a directory, and a name.
  struct Place {
    int parent;
    std::string name;
    std::shared_ptr<const UniqueFd> owner;
  };

  Status ApplyEntry(LayerReader& layer, const LayerEntry& entry);
  Status ApplyRoot(const LayerEntry& entry);
  // A whiteout or other marker, which is then done; false: an ordinary entry.
  StatusOr<bool> ApplyMarker(const LayerEntry& entry);
  Status MakeWhiteout(const std::string& path);
  Status MakeOpaque(const std::string& path);

  Status MakeFile(LayerReader& layer, const LayerEntry& entry,
                  const Place& place);
  Status WriteContent(LayerReader& layer, const LayerEntry& entry, int fd);
  Status MakeDirectory(const LayerEntry& entry, const Place& place);
  Status MakeSymlink(const LayerEntry& entry, const Place& place);
  Status MakeNode(const LayerEntry& entry, const Place& place);
  Status MakeHardLink(const LayerEntry& entry, const Place& place);
  // False: the target is not in this layer.
  StatusOr<bool> LinkWithin(const std::string& target, const std::string& path,
                            const Place& place);

  // Runs `make` (0, or -1 and errno); if the name is taken, frees it first.
  Status Create(const Place& place, const std::string& path, const char* call,
                const std::function<int()>& make);
  Status RemoveExisting(const Place& place, const std::string& path);
  bool NeedsOwner(const LayerEntry& entry) const;
  bool NeedsMode(const LayerEntry& entry) const;
  Status SetXattrs(const LayerEntry& entry, int fd, const std::string& name);

  StatusOr<Place> PlaceOf(const std::string& path);
  // The directory at `path`, made with what is missing of it.
  StatusOr<Handle> Directory(const std::string& path);
  StatusOr<UniqueFd> MakeImplied(const std::string& path);
  StatusOr<UniqueFd> MakeStep(int parent, const std::string& name,
                              const std::string& path);
  StatusOr<UniqueFd> OpenWithin(const std::string& path) const;
  void Forget(const std::string& path);
  // FAILED_PRECONDITION when all that is remembered becomes too much.
  Status Remember(size_t bytes);
  Status RememberName(std::set<std::string>& names, const std::string& path);
  Status RememberTime(const std::string& path, const struct timespec& time);
  Status RememberLink(const std::string& path, const std::string& target);

  Status LinkLower(const LayerStack& lower, const std::string& path,
                   const std::string& target);
  bool IsRemoved(const std::string& path) const;
  Status CopyUp(const LayerStack::Found& file, const std::string& path);
  Status CopyAttributes(const LayerStack& lower, const std::string& path);
  Status DropNeedlessWhiteouts(const LayerStack& lower);
  Status SetDirectoryTimes();
  Status CheckSpace(uint64_t more);

  const RootedPath root_;
  const mode_t umask_;
  // For a test: as if nobody looked where a name leads (the failpoint
  // image.layer.unchecked).
  const bool unchecked_;
  const Context* ctx_ = nullptr;  // during Apply
  // Directories used last, by path; the oldest goes first.
  std::vector<std::pair<std::string, std::shared_ptr<const UniqueFd>>>
      directories_;
  size_t next_slot_ = 0;

  std::set<std::string> whiteouts_;  // names that this layer removes
  std::set<std::string> opaque_;     // directories that hide those below
  std::set<std::string> implied_;    // directories made on the way
  std::map<std::string, struct timespec> directory_times_;
  struct LowerLink {
    uint64_t order;
    std::string target;
  };
  std::map<std::string, LowerLink> lower_links_;
  uint64_t next_link_ = 0;
  uint64_t remembered_ = 0;  // bytes of the containers above, about
  bool has_setgid_directory_ = false;
  uint64_t replaced_ = 0;
  uint64_t until_space_check_ = 0;
  DiskUsage usage_;
};

}  // namespace berth::image

#endif  // IMAGE_LAYER_LAYER_APPLIER_H_
