#ifndef IMAGE_ARCHIVE_TREE_UNPACKER_H_
#define IMAGE_ARCHIVE_TREE_UNPACKER_H_

#include <sys/types.h>
#include <time.h>

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/context.h"
#include "base/fs/rooted_path.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "image/layer/layer_reader.h"

namespace berth::image {

struct UnpackOptions {
  // Nothing else may take the place of a directory, nor a directory that of
  // something else: INVALID_ARGUMENT.
  bool keep_kinds = false;
  // Whose all files become; unset: whose the archive says.
  std::optional<std::pair<uid_t, gid_t>> owner;
};

// Unpacks a tar stream into a directory of a tree that others use and change
// meanwhile: a container's. Both the archive and the tree may attack: names are
// resolved as a process of the container would (links lead nowhere outside of
// `root`), nothing is followed at the last component, and what is there already
// is replaced, but for directories, which are merged. Missing directories
// belong to root. Of extended attributes "user." and capabilities are set,
// where the file system takes them.
//
// Errors name the entry; what was written by then stays. Single-threaded.
class TreeUnpacker {
 public:
  // `root` must outlive it; `directory` is a path in it, of a directory.
  TreeUnpacker(const RootedPath& root, std::string directory,
               UnpackOptions options);

  // All entries up to the end of the archive.
  Status Unpack(const Context& ctx, LayerReader& tar);

 private:
  Status MakeEntry(const Context& ctx, LayerReader& tar,
                   const LayerEntry& entry);
  // The directory that `path` is in; made if it is missing. Valid until the
  // next call.
  StatusOr<int> ParentOf(const std::string& path);
  // Makes room for an entry. True: a directory is there, and may stay.
  StatusOr<bool> ClearPlace(const LayerEntry& entry, int parent,
                            const std::string& name);
  Status MakeFile(const Context& ctx, LayerReader& tar, const LayerEntry& entry,
                  int parent, const std::string& name);
  Status MakeHardLink(const LayerEntry& entry, int parent,
                      const std::string& name);
  // Of what was just made: owner, attributes, mode and time, in this order.
  Status SetFacts(const LayerEntry& entry, int handle);
  Status SetDirectoryTimes();

  const RootedPath& root_;
  const std::string directory_;
  const UnpackOptions options_;
  // The last answer of ParentOf.
  std::string parent_path_;
  UniqueFd parent_;
  bool parent_is_old_ = false;
  // They are set at the end, for as many as fit into some memory.
  std::map<std::string, struct timespec> directory_times_;
  size_t remembered_ = 0;
};

}  // namespace berth::image

#endif  // IMAGE_ARCHIVE_TREE_UNPACKER_H_
