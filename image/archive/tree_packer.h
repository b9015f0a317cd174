#ifndef IMAGE_ARCHIVE_TREE_PACKER_H_
#define IMAGE_ARCHIVE_TREE_PACKER_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <map>
#include <string>
#include <utility>

#include "base/context.h"
#include "base/status.h"
#include "image/layer/tar_writer.h"

namespace berth::image {

// Writes files, and directories with all below them, into a tar stream: with
// owner, mode, time, device numbers and file capabilities. Files with several
// names are hard links to the first, but for the last of so many that their
// names pass 16 MiB. Sockets are left out; mounts below are read like the rest.
//
// The tree may change meanwhile and be hostile: each step opens one name
// beneath a directory that is open already, follows no link and opens nothing
// but directories and regular files. A file that grows is cut, one that shrinks
// is filled up with zeros; what is gone is left out. FAILED_PRECONDITION deeper
// than 256 levels. Memory is bounded. Single-threaded.
class TreePacker {
 public:
  // `writer` must outlive it.
  explicit TreePacker(TarWriter& writer) : writer_(writer) {}

  // What is at `name` in the open directory `parent`, under the name `as`;
  // what is below it gets `as` and a slash before its own. NOT_FOUND.
  Status Add(const Context& ctx, int parent, const std::string& name,
             const std::string& as);
  // The same without what is below it.
  Status AddOne(const Context& ctx, int parent, const std::string& name,
                const std::string& as);
  // What is below the open directory, without itself, `prefix` before the
  // names.
  Status AddContent(const Context& ctx, int directory,
                    const std::string& prefix);

 private:
  Status AddEntry(const Context& ctx, int parent, const std::string& name,
                  const std::string& as, const struct stat& info);
  Status AddFile(const Context& ctx, int file, LayerEntry entry);
  bool MakeLink(const struct stat& info, LayerEntry& entry);

  TarWriter& writer_;
  // The first name of each file that has several.
  std::map<std::pair<dev_t, ino_t>, std::string> links_;
  size_t link_bytes_ = 0;
};

}  // namespace berth::image

#endif  // IMAGE_ARCHIVE_TREE_PACKER_H_
