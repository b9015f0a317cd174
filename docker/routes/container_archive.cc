// Files of containers as archives: docker cp and docker export.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/base64.h"
#include "base/clock.h"
#include "base/fs/rooted_path.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/unique_fd.h"
#include "docker/call.h"
#include "docker/container_json.h"
#include "docker/engine.h"
#include "docker/lifecycle.h"
#include "docker/routes/body_source.h"
#include "image/archive/tree_packer.h"
#include "image/archive/tree_unpacker.h"
#include "image/layer/decompressor.h"
#include "image/layer/layer_reader.h"
#include "image/layer/tar_writer.h"
#include "sandbox/container_files.h"
#include "sandbox/ids.h"

namespace berth::docker {
namespace {

using sandbox::ContainerId;
using sandbox::ContainerTree;

constexpr int kMaxLinks = 40;  // path_resolution(7)

// A path as docker cp means it: the last component is not followed, unless the
// path ends with a slash or a dot.
struct AskedPath {
  std::string above;  // "/a" of "/a/b"
  std::string name;   // "b"; "." if the last component is to be followed
  std::string base;   // what the entries of an archive begin with

  static StatusOr<AskedPath> Of(const Call& call) {
    const std::string path = call.Query("path");
    if (path.empty()) {
      return InvalidArgument("bad parameter: path cannot be empty");
    }
    if (path.find('\0') != std::string::npos) {
      return InvalidArgument("bad parameter: path contains a NUL");
    }
    const std::string last = path.substr(path.rfind('/') + 1);
    AskedPath asked;
    for (const std::string& part : Split(path, '/')) {
      if (part.empty() || part == ".") continue;
      if (part == "..") {
        asked.above = asked.above.substr(0, asked.above.rfind('/'));
      } else {
        asked.above += "/" + part;
      }
    }
    if (asked.above.empty()) asked.above = "/";
    const size_t slash = asked.above.rfind('/');
    asked.base = last == "." ? "." : asked.above.substr(slash + 1);
    if (asked.base.empty()) asked.base = "/";
    if (asked.above == "/" || last.empty() || last == ".") {
      asked.name = ".";
    } else {
      asked.name = asked.above.substr(slash + 1);
      asked.above.resize(slash);
    }
    return asked;
  }

  std::string Whole() const { return name == "." ? above : above + "/" + name; }
};

Status NoSuchFile(const Call& call) {
  return NotFound("Could not find the file " + call.Query("path") +
                  " in container " + call.name);
}

// Where a link leads in its root, as a path there; of what is missing the rest
// is taken as it is.
std::string FollowLinks(const RootedPath& root, const std::string& path) {
  std::deque<std::string> pending;
  const auto prepend = [&pending](const std::string& text) {
    const std::vector<std::string> parts = Split(text, '/');
    pending.insert(pending.begin(), parts.begin(), parts.end());
  };
  prepend(path);
  std::string resolved;
  int links = 0;
  while (!pending.empty()) {
    const std::string part = std::move(pending.front());
    pending.pop_front();
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      resolved.resize(resolved.empty() ? 0 : resolved.rfind('/'));
      continue;
    }
    char text[PATH_MAX];
    const StatusOr<UniqueFd> fd =
        root.Open(resolved + "/" + part, O_PATH | O_NOFOLLOW);
    const ssize_t n =
        fd.ok() ? readlinkat(fd->get(), "", text, sizeof(text)) : -1;
    if (n < 0 || ++links > kMaxLinks) {
      resolved += "/" + part;
      continue;
    }
    const std::string target(text, static_cast<size_t>(n));
    if (StartsWith(target, "/")) resolved.clear();
    prepend(target);
  }
  return resolved.empty() ? "/" : resolved;
}

// Go's os.FileMode.
uint32_t GoMode(mode_t mode) {
  uint32_t go = mode & 0777;
  if (S_ISDIR(mode)) go |= 1u << 31;
  if (S_ISLNK(mode)) go |= 1u << 27;
  if (S_ISBLK(mode) || S_ISCHR(mode)) go |= 1u << 26;
  if (S_ISFIFO(mode)) go |= 1u << 25;
  if (S_ISSOCK(mode)) go |= 1u << 24;
  if ((mode & S_ISUID) != 0) go |= 1u << 23;
  if ((mode & S_ISGID) != 0) go |= 1u << 22;
  if (S_ISCHR(mode)) go |= 1u << 21;
  if ((mode & S_ISVTX) != 0) go |= 1u << 20;
  return go;
}

// What was asked for, found.
struct FoundPath {
  MountedVolumes volumes;
  ContainerTree tree;
  AskedPath path;
  UniqueFd above;  // the directory that it is in, or itself if `name` is "."
  struct stat info = {};

  std::string StatHeader() const {
    const bool link = S_ISLNK(info.st_mode);
    const UnixNanos time =
        info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
    return Base64Encode(
        DumpJson({{"name", path.base},
                  {"size", static_cast<int64_t>(info.st_size)},
                  {"mode", GoMode(info.st_mode)},
                  {"mtime", TimeText(time)},
                  {"linkTarget", link ? FollowLinks(tree.root(), path.Whole())
                                      : std::string()}}));
  }
};

StatusOr<FoundPath> Find(Engine& engine, Call& call, const View& view) {
  ASSIGN_OR_RETURN(AskedPath path, AskedPath::Of(call));
  ASSIGN_OR_RETURN(MountedVolumes volumes,
                   MountedVolumes::Of(engine, call.ctx, view));
  ASSIGN_OR_RETURN(ContainerTree tree,
                   engine.files.Look(call.ctx, ContainerId(view.id())));
  StatusOr<UniqueFd> above = tree.root().Open(path.above, O_PATH | O_DIRECTORY);
  if (IsNotFound(above.status())) return NoSuchFile(call);
  RETURN_IF_ERROR(above.status());
  const StatusOr<struct stat> info = StatAt(above->get(), path.name);
  if (IsNotFound(info.status())) return NoSuchFile(call);
  RETURN_IF_ERROR(info.status());
  return FoundPath{std::move(volumes), std::move(tree), std::move(path),
                   *std::move(above), *info};
}

constexpr char kStatHeader[] = "X-Docker-Container-Path-Stat";

Status StatPath(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const View view, FindView(engine, call.name));
  ASSIGN_OR_RETURN(const FoundPath found, Find(engine, call, view));
  call.http.AddHeader(kStatHeader, found.StatHeader());
  return call.Reply(200);
}

// An archive as the answer. It begins with the first byte, so that what fails
// before is a plain error; what fails later leaves it incomplete.
class ArchiveAnswer {
 public:
  ArchiveAnswer(Call& call, const char* type)
      : call_(call),
        type_(type),
        writer_([this](std::string_view bytes) { return Write(bytes); }) {}

  image::TarWriter& writer() { return writer_; }
  Status Finish() {
    RETURN_IF_ERROR(writer_.Finish());
    return Flush();
  }

 private:
  // Headers are small: they go along with what follows.
  Status Write(std::string_view bytes) {
    constexpr size_t kEnough = 64 << 10;
    pending_ += bytes;
    return pending_.size() < kEnough ? OkStatus() : Flush();
  }
  Status Flush() {
    if (!std::exchange(begun_, true)) {
      RETURN_IF_ERROR(call_.http.BeginStream(200, type_));
    }
    return call_.http.Write(std::exchange(pending_, std::string()));
  }

  Call& call_;
  const char* const type_;
  std::string pending_;
  bool begun_ = false;
  image::TarWriter writer_;
};

Status Get(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const View view, FindView(engine, call.name));
  ASSIGN_OR_RETURN(const FoundPath found, Find(engine, call, view));
  call.http.AddHeader(kStatHeader, found.StatHeader());
  ArchiveAnswer answer(call, "application/x-tar");
  image::TreePacker packer(answer.writer());
  const Status added =
      packer.Add(call.ctx, found.above.get(), found.path.name, found.path.base);
  if (IsNotFound(added) && !call.http.answered()) return NoSuchFile(call);
  RETURN_IF_ERROR(added);
  RETURN_IF_ERROR(answer.Finish());
  engine.events.PublishContainer("archive-path", view.id());
  return OkStatus();
}

StatusOr<uint64_t> MountIdOf(int fd) {
  struct statx info = {};
  if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &info) != 0) {
    return Errno(errno, "statx");
  }
  return info.stx_mnt_id;
}

Status CheckWritable(const ContainerTree& tree, int directory) {
  struct statvfs info = {};
  if (fstatvfs(directory, &info) != 0) return Errno(errno, "statvfs");
  if ((info.f_flag & ST_RDONLY) == 0) return OkStatus();
  ASSIGN_OR_RETURN(const uint64_t root, MountIdOf(tree.root().fd()));
  ASSIGN_OR_RETURN(const uint64_t mount, MountIdOf(directory));
  return Error(StatusCode::kPermissionDenied,
               root == mount ? "container rootfs is marked read-only"
                             : "mounted volume is marked read-only");
}

// With copyUIDGID: the container's own user, if it names one.
std::optional<std::pair<uid_t, gid_t>> OwnerOf(const Call& call,
                                               const View& view) {
  if (!call.Flag("copyUIDGID")) return std::nullopt;
  const auto& user = view.container->user();
  if (user.uid() == 0 && view.container->config().security().user().empty()) {
    return std::nullopt;
  }
  return std::pair(static_cast<uid_t>(user.uid()),
                   static_cast<gid_t>(user.gid()));
}

Status Put(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const View view, FindOurs(engine, call.name));
  ASSIGN_OR_RETURN(const AskedPath path, AskedPath::Of(call));
  ASSIGN_OR_RETURN(const MountedVolumes volumes,
                   MountedVolumes::Of(engine, call.ctx, view));
  ASSIGN_OR_RETURN(const ContainerTree tree,
                   engine.files.Change(call.ctx, ContainerId(view.id())));
  const StatusOr<UniqueFd> directory = tree.root().Open(path.Whole(), O_PATH);
  if (IsNotFound(directory.status())) return NoSuchFile(call);
  RETURN_IF_ERROR(directory.status());
  ASSIGN_OR_RETURN(const struct stat info, StatFd(directory->get()));
  if (!S_ISDIR(info.st_mode)) {
    return InvalidArgument("extraction point is not a directory");
  }
  RETURN_IF_ERROR(CheckWritable(tree, directory->get()));
  BodySource body(call.http);
  ASSIGN_OR_RETURN(const std::unique_ptr<image::Decompressor> plain,
                   image::Decompressor::Open(body));
  image::LayerReader tar(*plain);
  image::UnpackOptions options;
  options.keep_kinds = call.Flag("noOverwriteDirNonDir");
  options.owner = OwnerOf(call, view);
  image::TreeUnpacker unpacker(tree.root(), path.Whole(), options);
  RETURN_IF_ERROR(unpacker.Unpack(call.ctx, tar));
  RETURN_IF_ERROR(tar.Drain());
  engine.events.PublishContainer("extract-to-dir", view.id());
  return call.Reply(200);
}

Status Export(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const View view, FindView(engine, call.name));
  ASSIGN_OR_RETURN(const ContainerTree tree,
                   engine.files.LookAtRoot(call.ctx, ContainerId(view.id())));
  ArchiveAnswer answer(call, "application/octet-stream");
  image::TreePacker packer(answer.writer());
  RETURN_IF_ERROR(packer.AddContent(call.ctx, tree.root().fd(), ""));
  RETURN_IF_ERROR(answer.Finish());
  engine.events.PublishContainer("export", view.id());
  return OkStatus();
}

}  // namespace

std::vector<Route> ContainerArchiveRoutes() {
  return {{"HEAD", "/containers/{id}/archive", StatPath},
          {"GET", "/containers/{id}/archive", Get},
          {"PUT", "/containers/{id}/archive", Put},
          {"GET", "/containers/{id}/export", Export}};
}

}  // namespace berth::docker
