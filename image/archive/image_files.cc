#include "image/archive/image_files.h"

#include <errno.h>
#include <fcntl.h>
#include <glog/logging.h>
#include <stdlib.h>
#include <unistd.h>

#include <utility>

#include "base/fs/tree.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "image/layer/byte_source.h"
#include "image/layer/decompressor.h"
#include "image/layer/tar_fields.h"

namespace berth::image {
namespace {

constexpr int kMaxLinks = 16;

Status NoFile(const std::string& name) {
  return NotFound("no file " + Quoted(name) + " in the image archive");
}

// "../a/layer.tar", as the target of "b/layer.tar": "a/layer.tar". Empty if it
// leaves the archive.
std::string ResolveLink(const std::string& link, const std::string& target) {
  std::vector<std::string> parts = Split(link, '/');
  parts.pop_back();
  for (const std::string& part : Split(target, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (parts.empty()) {
      return "";
    } else {
      parts.pop_back();
    }
  }
  return StartsWith(target, "/") ? "" : Join(parts, "/");
}

}  // namespace

StatusOr<std::string> ImageFiles::Read(const std::string& name,
                                       uint64_t limit) const {
  ASSIGN_OR_RETURN(const UniqueFd fd, Open(name));
  return ReadAll(fd.get(), limit, name);
}

StatusOr<std::unique_ptr<ImageFiles>> DirectoryFiles::Load(
    const std::string& directory) {
  ASSIGN_OR_RETURN(RootedPath root, RootedPath::Open(directory));
  return std::unique_ptr<ImageFiles>(new DirectoryFiles(std::move(root)));
}

StatusOr<UniqueFd> DirectoryFiles::Open(const std::string& name) const {
  // Opening a fifo to read would wait for its writer.
  StatusOr<UniqueFd> fd = root_.Open(name, O_RDONLY | O_NONBLOCK);
  if (ErrnoOf(fd.status()) == ENOENT) return NoFile(name);
  RETURN_IF_ERROR(fd.status());
  ASSIGN_OR_RETURN(const struct stat info, StatFd(fd->get()));
  if (!S_ISREG(info.st_mode)) {
    return InvalidArgument(Quoted(name) + " is not a regular file");
  }
  return fd;
}

StatusOr<std::unique_ptr<ImageFiles>> ArchiveFiles::Load(
    const Context& ctx, ByteSource& archive, const std::string& spool,
    const Limits& limits) {
  std::string directory = spool + "/archive.XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) {
    return Errno(errno, "mkdtemp " + Quoted(directory));
  }
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(directory, O_RDONLY | O_DIRECTORY));
  std::unique_ptr<ArchiveFiles> files(
      new ArchiveFiles(directory, std::move(fd)));
  RETURN_IF_ERROR_AS(files->Unpack(ctx, archive, limits), "read image archive");
  return std::unique_ptr<ImageFiles>(std::move(files));
}

ArchiveFiles::~ArchiveFiles() {
  const Status removed = RemoveTree(AT_FDCWD, directory_);
  if (!removed.ok()) LOG(WARNING) << Message(removed);
}

Status ArchiveFiles::Unpack(const Context& ctx, ByteSource& archive,
                            const Limits& limits) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Decompressor> plain,
                   Decompressor::Open(archive));
  HashingSource bounded(*plain, limits.bytes);
  LayerReader tar(bounded);
  while (true) {
    RETURN_IF_ERROR(ctx.Check());
    ASSIGN_OR_RETURN(const std::optional<LayerEntry> entry, tar.Next());
    // A client that sends it is heard to its end.
    if (!entry) return tar.Drain();
    if (++members_ > limits.members) {
      return FailedPrecondition("more than " + std::to_string(limits.members) +
                                " members");
    }
    if (entry->kind == EntryKind::kFile) {
      RETURN_IF_ERROR(UnpackFile(ctx, tar, *entry));
    } else if (entry->kind == EntryKind::kSymlink) {
      AddLink(entry->path, ResolveLink(entry->path, entry->link));
    } else if (entry->kind == EntryKind::kHardLink &&
               entry->link != entry->path) {
      AddLink(entry->path, entry->link);
    }
  }
}

// Of members of one name the last counts.
void ArchiveFiles::AddLink(const std::string& path, const std::string& target) {
  files_.erase(path);
  links_[path] = target;
}

Status ArchiveFiles::UnpackFile(const Context& ctx, LayerReader& tar,
                                const LayerEntry& entry) {
  const std::string name = std::to_string(members_);
  ASSIGN_OR_RETURN(const UniqueFd fd,
                   OpenFileAt(fd_.get(), name,
                              O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
  while (true) {
    RETURN_IF_ERROR(ctx.Check());
    ASSIGN_OR_RETURN(const std::string_view bytes, tar.Data());
    if (bytes.empty()) break;
    RETURN_IF_ERROR(WriteAll(fd.get(), bytes));
  }
  links_.erase(entry.path);
  files_[entry.path] = name;
  return OkStatus();
}

StatusOr<UniqueFd> ArchiveFiles::Open(const std::string& name) const {
  ASSIGN_OR_RETURN(std::string at, CleanTarPath(name));
  for (int links = 0; links < kMaxLinks; ++links) {
    if (const auto it = files_.find(at); it != files_.end()) {
      return OpenFileAt(fd_.get(), it->second, O_RDONLY | O_NOFOLLOW);
    }
    const auto it = links_.find(at);
    if (it == links_.end()) break;
    at = it->second;
  }
  return NoFile(name);
}

}  // namespace berth::image
