#include "image/snapshot/overlay_snapshotter.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "base/failpoint.h"
#include "base/fs/tree.h"
#include "base/fs/tree_size.h"
#include "base/strings.h"
#include "base/sys/confined_thread.h"
#include "base/sys/file.h"
#include "base/unique_fd.h"
#include "image/layer/layer_applier.h"
#include "image/layer/layer_reader.h"
#include "image/layer/layer_stack.h"

namespace berth::image {
namespace {

// OVL_MAX_STACK (fs/overlayfs/params.h).
constexpr size_t kMaxLayers = 500;

Status MakeDirectory(const std::string& path, mode_t mode) {
  if (mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
    return Errno(errno, "mkdir " + Quoted(path));
  }
  return OkStatus();
}

// The root of an overlay looks like its upper directory: that must look like
// the image's.
Status CopyOwnerAndMode(const std::string& from, const std::string& to) {
  struct stat info;
  if (stat(from.c_str(), &info) != 0) {
    return Errno(errno, "stat " + Quoted(from));
  }
  if (chown(to.c_str(), info.st_uid, info.st_gid) != 0) {
    return Errno(errno, "chown " + Quoted(to));
  }
  if (chmod(to.c_str(), info.st_mode & 07777) != 0) {
    return Errno(errno, "chmod " + Quoted(to));
  }
  return OkStatus();
}

Mount Bind(const std::string& directory, const char* access) {
  Mount mount;
  mount.type = "bind";
  mount.source = directory;
  mount.options = {"rbind", access};
  return mount;
}

StatusOr<std::vector<Mount>> Overlay(const std::vector<std::string>& lower,
                                     std::vector<std::string> upper) {
  if (lower.size() > kMaxLayers) {
    return FailedPrecondition("overlay of " + std::to_string(lower.size()) +
                              " layers: the kernel takes " +
                              std::to_string(kMaxLayers));
  }
  Mount mount;
  mount.type = "overlay";
  mount.source = "overlay";
  mount.options = std::move(upper);
  mount.options.push_back("lowerdir=" + Join(lower, ":"));
  mount.options.push_back("index=off");
  return std::vector<Mount>{mount};
}

std::string ProbeIn(const std::string& directory) {
  return directory + "/.overlay-probe";
}

// A probe ends with its mount: a file that somebody else holds open there, say
// a scanner of viruses, must not keep it.
Status UnmountProbe(const std::string& probe) {
  return IgnoreNotFound(
      Unmount(probe + "/merged", MNT_DETACH | UMOUNT_NOFOLLOW));
}

// Whether overlayfs works in this directory, with that option if any.
Status Probe(const std::string& directory, const char* option) {
  const std::string probe = ProbeIn(directory);
  RETURN_IF_ERROR(RemoveTree(AT_FDCWD, probe));
  for (const char* part : {"", "/lower", "/upper", "/work", "/merged"}) {
    RETURN_IF_ERROR(MakeDirectory(probe + part, 0700));
  }
  Mount mount;
  mount.type = "overlay";
  mount.source = "overlay";
  mount.target = probe + "/merged";
  mount.options = {"lowerdir=" + probe + "/lower",
                   "upperdir=" + probe + "/upper", "workdir=" + probe + "/work",
                   "index=off"};
  if (*option != '\0') mount.options.emplace_back(option);
  const Status mounted = MountAt(mount);
  if (mounted.ok()) RETURN_IF_ERROR(UnmountProbe(probe));
  RETURN_IF_ERROR(RemoveTree(AT_FDCWD, probe));
  return mounted;
}

// A volatile mount leaves a mark, with which the kernel refuses the next mount,
// in case the machine lost power in between (Documentation/filesystems/
// overlayfs.rst). Our caller knows that it did not.
Status RemoveVolatileMark(const std::string& work) {
  const std::string mark = work + "/work/incompat";
  if (access(mark.c_str(), F_OK) != 0) return OkStatus();
  return RemoveTree(AT_FDCWD, mark);
}

}  // namespace

// A directory on its way to be a layer.
class OverlaySnapshotter::Layer : public Snapshotter::Unpacked {
 public:
  Layer(std::unique_ptr<LayerStore::Staging> staging, UniqueFd directory)
      : staging_(std::move(staging)), applier_(std::move(directory)) {}

  LayerStore::Staging& staging() { return *staging_; }
  LayerApplier& applier() { return applier_; }

 private:
  const std::unique_ptr<LayerStore::Staging> staging_;
  LayerApplier applier_;
};

StatusOr<std::unique_ptr<OverlaySnapshotter>> OverlaySnapshotter::Open(
    const std::string& directory, MetadataStore& metadata) {
  // Of a process that was killed meanwhile; a sweep stops at a mount.
  RETURN_IF_ERROR(UnmountProbe(ProbeIn(directory)));
  ASSIGN_OR_RETURN(std::unique_ptr<LayerStore> layers,
                   LayerStore::Open(directory, metadata));
  // Volatile first: unmounting the other flushes the whole file system.
  const bool can_be_volatile = Probe(directory, "volatile").ok();
  const Status works = can_be_volatile ? OkStatus() : Probe(directory, "");
  if (!works.ok()) {
    return Error(StatusCode::kFailedPrecondition,
                 Quoted(directory) + " cannot hold layers: " + Message(works));
  }
  return std::unique_ptr<OverlaySnapshotter>(
      new OverlaySnapshotter(std::move(layers), can_be_volatile));
}

StatusOr<std::unique_ptr<Snapshotter::Unpacked>> OverlaySnapshotter::Unpack(
    const Context& ctx, ByteSource& tar) {
  ASSIGN_OR_RETURN(std::unique_ptr<LayerStore::Staging> staging,
                   layers_->Stage());
  RETURN_IF_ERROR(Failpoint("image.layer.staged"));
  ASSIGN_OR_RETURN(UniqueFd directory,
                   OpenFile(staging->path(), O_RDONLY | O_DIRECTORY));
  auto layer =
      std::make_unique<Layer>(std::move(staging), std::move(directory));
  // The bytes are a stranger's: should a name lead out of the directory, the
  // kernel says no as well, but to a change of mode, owner, times or
  // attributes.
  RETURN_IF_ERROR(
      RunConfined("unpack", {layer->staging().path()}, [&]() -> Status {
        LayerReader reader(tar);
        RETURN_IF_ERROR(layer->applier().Apply(ctx, reader));
        return reader.Drain();
      }));
  RETURN_IF_ERROR(Failpoint("image.layer.unpacked"));
  return std::unique_ptr<Unpacked>(std::move(layer));
}

Status OverlaySnapshotter::Commit(Unpacked& unpacked, const LayerName& name) {
  Layer& layer = static_cast<Layer&>(unpacked);
  ASSIGN_OR_RETURN(const std::vector<std::string> below,
                   layers_->Directories(name.parent));
  ASSIGN_OR_RETURN(const LayerStack lower, LayerStack::Open(below));
  RETURN_IF_ERROR(RunConfined("complete", {layers_->directory()},
                              [&] { return layer.applier().Complete(lower); }));
  RETURN_IF_ERROR(Failpoint("image.layer.completed"));
  RETURN_IF_ERROR(layers_->Commit(layer.staging(), name.chain, name.parent,
                                  name.diff_id, layer.applier().usage()));
  return Failpoint("image.layer.committed");
}

StatusOr<DiskUsage> OverlaySnapshotter::LayerUsage(const Digest& chain) const {
  return layers_->LayerUsage(chain);
}

Status OverlaySnapshotter::MarkFlushed(Transaction& tx,
                                       const Digest& chain) const {
  return layers_->MarkFlushed(tx, chain);
}

StatusOr<Snapshotter::Unused> OverlaySnapshotter::ForgetUnused(
    const std::set<Digest>& wanted) {
  return layers_->ForgetUnused(wanted);
}

StatusOr<DiskUsage> OverlaySnapshotter::TotalUsage() const {
  return layers_->TotalUsage();
}

Status OverlaySnapshotter::Prepare(uint64_t number, const Digest& chain) {
  const std::string upper = layers_->PathOf(number);
  RETURN_IF_ERROR(MakeDirectory(upper + ".work", 0700));
  if (access(upper.c_str(), F_OK) == 0) {
    return RemoveVolatileMark(upper + ".work");
  }
  // It gets its name when it is complete: what the container then changes must
  // not be changed back.
  const std::string fresh = upper + ".new";
  RETURN_IF_ERROR(MakeDirectory(fresh, 0755));
  ASSIGN_OR_RETURN(const std::vector<std::string> lower,
                   layers_->Directories(chain));
  if (!lower.empty()) RETURN_IF_ERROR(CopyOwnerAndMode(lower[0], fresh));
  if (rename(fresh.c_str(), upper.c_str()) != 0) {
    return Errno(errno, "rename " + Quoted(fresh));
  }
  return OkStatus();
}

StatusOr<std::vector<Mount>> OverlaySnapshotter::Mounts(uint64_t number,
                                                        const Digest& chain,
                                                        Access access) const {
  ASSIGN_OR_RETURN(std::vector<std::string> lower, layers_->Directories(chain));
  const std::string upper = layers_->PathOf(number);
  if (access == Access::kLook) lower.insert(lower.begin(), upper);
  if (access == Access::kReadOnly || access == Access::kLook) {
    return ReadOnlyMounts(number, lower);
  }
  if (lower.empty()) return std::vector<Mount>{Bind(upper, "rw")};
  std::vector<std::string> options = {"upperdir=" + upper,
                                      "workdir=" + upper + ".work"};
  if (access == Access::kVolatile && can_be_volatile_) {
    options.emplace_back("volatile");
  }
  return Overlay(lower, std::move(options));
}

StatusOr<std::vector<Mount>> OverlaySnapshotter::ReadOnlyMounts(
    uint64_t number, const std::vector<std::string>& lower) const {
  if (lower.empty()) {
    return std::vector<Mount>{Bind(layers_->PathOf(number), "ro")};
  }
  if (lower.size() == 1) return std::vector<Mount>{Bind(lower[0], "ro")};
  return Overlay(lower, {"ro"});
}

StatusOr<LayerStack> OverlaySnapshotter::Stack(uint64_t number,
                                               const Digest& chain) const {
  ASSIGN_OR_RETURN(std::vector<std::string> all, layers_->Directories(chain));
  all.insert(all.begin(), layers_->PathOf(number));
  return LayerStack::Open(all);
}

StatusOr<DiskUsage> OverlaySnapshotter::Usage(uint64_t number) const {
  const std::string path = layers_->PathOf(number);
  const auto upper = OpenFile(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (IsNotFound(upper.status())) return DiskUsage();
  RETURN_IF_ERROR(upper.status());
  ASSIGN_OR_RETURN_AS(const TreeSize size, MeasureTree(upper->get()),
                      "measure " + Quoted(path));
  return DiskUsage{size.bytes, size.inodes};
}

Status OverlaySnapshotter::Remove(uint64_t number) {
  return layers_->RemoveDirectory(number);
}

}  // namespace berth::image
