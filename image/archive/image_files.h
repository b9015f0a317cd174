#ifndef IMAGE_ARCHIVE_IMAGE_FILES_H_
#define IMAGE_ARCHIVE_IMAGE_FILES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/context.h"
#include "base/fs/rooted_path.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "image/layer/byte_source.h"
#include "image/layer/layer_reader.h"

namespace berth::image {

// The files that an image is stored in, by the names that its documents give
// them. A seam: a directory, or the members of an archive. Only regular files;
// links stay inside. Thread-safe.
class ImageFiles {
 public:
  virtual ~ImageFiles() = default;
  // NOT_FOUND.
  virtual StatusOr<UniqueFd> Open(const std::string& name) const = 0;
  // RESOURCE_EXHAUSTED if it is longer than `limit`.
  StatusOr<std::string> Read(const std::string& name, uint64_t limit) const;
  bool Has(const std::string& name) const { return Open(name).ok(); }
};

// The files below a directory. Thread-safe.
class DirectoryFiles : public ImageFiles {
 public:
  static StatusOr<std::unique_ptr<ImageFiles>> Load(
      const std::string& directory);
  StatusOr<UniqueFd> Open(const std::string& name) const override;

 private:
  explicit DirectoryFiles(RootedPath root) : root_(std::move(root)) {}
  const RootedPath root_;
};

// A tar archive, compressed or not: unpacked into numbered files, so that no
// name of a member is ever a path of ours. Members may come in any order, and
// the archive from a pipe. Thread-safe.
class ArchiveFiles : public ImageFiles {
 public:
  struct Limits {
    uint64_t bytes = uint64_t{1} << 40;
    size_t members = 100'000;
  };
  // Makes a directory in `spool` and removes it when destroyed.
  static StatusOr<std::unique_ptr<ImageFiles>> Load(const Context& ctx,
                                                    ByteSource& archive,
                                                    const std::string& spool,
                                                    const Limits& limits);
  ~ArchiveFiles() override;
  StatusOr<UniqueFd> Open(const std::string& name) const override;

 private:
  ArchiveFiles(std::string directory, UniqueFd fd)
      : directory_(std::move(directory)), fd_(std::move(fd)) {}
  Status Unpack(const Context& ctx, ByteSource& archive, const Limits& limits);
  Status UnpackFile(const Context& ctx, LayerReader& tar,
                    const LayerEntry& entry);
  void AddLink(const std::string& path, const std::string& target);

  const std::string directory_;
  const UniqueFd fd_;
  size_t members_ = 0;
  std::map<std::string, std::string> files_;  // member to file
  std::map<std::string, std::string> links_;  // member to member
};

}  // namespace berth::image

#endif  // IMAGE_ARCHIVE_IMAGE_FILES_H_
