#include "image/rootfs_changes.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "api/state/v1/image.pb.h"
#include "image/archive/tree_packer.h"
#include "image/layer/layer_diff.h"
#include "image/snapshot/rootfs_records.h"

namespace berth::image {
namespace {

constexpr size_t kMaxChanges = 1'000'000;

// What a runtime mounts on, if the image has no such file.
bool IsMountPoint(const LayerChange& change) {
  static const auto& names =
      *new std::set<std::string>{"proc",           "sys",       "dev",
                                 "dev/pts",        "dev/shm",   "dev/mqueue",
                                 "dev/console",    "etc/hosts", "etc/hostname",
                                 "etc/resolv.conf"};
  return change.kind == LayerChange::Kind::kAdded &&
         names.count(change.path) > 0 &&
         (S_ISDIR(change.info.st_mode) ||
          (S_ISREG(change.info.st_mode) && change.info.st_size == 0));
}

std::string ParentOf(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

LayerEntry Marker(const LayerChange& change, const std::string& path) {
  LayerEntry entry;
  entry.path = path;
  entry.mtime = change.info.st_mtim;
  return entry;
}

}  // namespace

StatusOr<LayerStack> RootfsChanges::StackOf(const std::string& key) const {
  state::v1::RootfsRecord record;
  RETURN_IF_ERROR(metadata_.View([&](const Transaction& tx) -> Status {
    ASSIGN_OR_RETURN(record, kRootfs.Get(tx, key));
    return OkStatus();
  }));
  ASSIGN_OR_RETURN(const Digest chain, ParseChain(record.chain_id()));
  return snapshots_.Stack(record.number(), chain);
}

StatusOr<std::vector<FileChange>> RootfsChanges::List(
    const Context& ctx, const std::string& key) const {
  ASSIGN_OR_RETURN(const LayerStack stack, StackOf(key));
  std::map<std::string, FileChange::Kind> changes;
  const auto visit = [&changes](const LayerChange& change) -> Status {
    if (IsMountPoint(change) || change.same) return OkStatus();
    if (changes.size() >= kMaxChanges) {
      return ResourceExhausted("there are more than " +
                               std::to_string(kMaxChanges) + " changes");
    }
    const std::string path = "/" + change.path;
    changes[path] = static_cast<FileChange::Kind>(change.kind);
    const std::string parent = ParentOf(path);
    if (change.kind != LayerChange::Kind::kChanged && !parent.empty()) {
      changes.emplace(parent, FileChange::Kind::kChanged);
    }
    return OkStatus();
  };
  RETURN_IF_ERROR(VisitChanges(ctx, stack, visit));
  std::vector<FileChange> list;
  list.reserve(changes.size());
  for (const auto& [path, kind] : changes) list.push_back({path, kind});
  return list;
}

Status RootfsChanges::WriteLayer(const Context& ctx, const std::string& key,
                                 TarWriter& layer) const {
  ASSIGN_OR_RETURN(const LayerStack stack, StackOf(key));
  TreePacker packer(layer);
  const auto visit = [&](const LayerChange& change) -> Status {
    if (IsMountPoint(change)) return OkStatus();
    if (change.kind == LayerChange::Kind::kRemoved) {
      const std::string above =
          change.path.substr(0, change.path.size() - change.name.size());
      return layer.Begin(Marker(change, above + ".wh." + change.name));
    }
    RETURN_IF_ERROR(
        packer.AddOne(ctx, change.parent, change.name, change.path));
    if (!change.opaque) return OkStatus();
    return layer.Begin(Marker(change, change.path + "/.wh..wh..opq"));
  };
  RETURN_IF_ERROR(VisitChanges(ctx, stack, visit));
  return layer.Finish();
}

}  // namespace berth::image
