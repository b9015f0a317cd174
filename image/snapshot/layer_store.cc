#include "image/snapshot/layer_store.h"

#include <errno.h>
#include <fcntl.h>
#include <glog/logging.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/fs/tree.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "image/layer/layer_stack.h"

namespace berth::image {

using state::v1::LayerRecord;
using state::v1::RootfsRecord;

const Table<LayerRecord> kLayers("layers");

namespace {

using LayerMap = std::map<std::string, LayerRecord>;

constexpr char kSetAsideLayer[] = "layers/";

template <typename Record>
Status CheckAll(const Transaction& tx, const char* table) {
  using Bytes = std::map<std::string, std::string>;
  ASSIGN_OR_RETURN(const Bytes all, tx.All(table));
  for (const auto& [key, bytes] : all) {
    Record record;
    if (!record.ParseFromString(bytes)) {
      return DataLoss(std::string("record ") + table + "/" + key +
                      " cannot be read");
    }
  }
  return OkStatus();
}

// DATA_LOSS if it is not known which directories are in use.
Status CheckOwners(const Transaction& tx) {
  RETURN_IF_ERROR(CheckAll<LayerRecord>(tx, "layers"));
  RETURN_IF_ERROR(CheckAll<RootfsRecord>(tx, "rootfs"));
  using Bytes = std::map<std::string, std::string>;
  ASSIGN_OR_RETURN(const Bytes aside, tx.All(kSetAside));
  for (const auto& [name, bytes] : aside) {
    if (StartsWith(name, kSetAsideRootfs) || StartsWith(name, kSetAsideLayer)) {
      return DataLoss("record " + name + " cannot be read");
    }
  }
  return OkStatus();
}

// All that can be read.
template <typename Record>
StatusOr<std::map<std::string, Record>> Readable(const Transaction& tx,
                                                 const char* table) {
  using Bytes = std::map<std::string, std::string>;
  ASSIGN_OR_RETURN(const Bytes all, tx.All(table));
  std::map<std::string, Record> records;
  for (const auto& [key, bytes] : all) {
    Record record;
    if (record.ParseFromString(bytes)) records[key] = std::move(record);
  }
  return records;
}

StatusOr<std::string> BootId() {
  ASSIGN_OR_RETURN(const std::string id,
                   ReadFile("/proc/sys/kernel/random/boot_id", 256));
  return std::string(Trim(id));
}

}  // namespace

LayerStore::Staging::Staging(LayerStore& store, uint64_t number)
    : store_(store), number_(number) {}

LayerStore::Staging::~Staging() {
  if (kept_) return;
  const Status removed = store_.RemoveDirectory(number_);
  if (!removed.ok()) LOG(WARNING) << Message(removed);
}

StatusOr<std::unique_ptr<LayerStore>> LayerStore::Open(
    const std::string& directory, MetadataStore& metadata) {
  RETURN_IF_ERROR(MakeDirectories(directory, 0700));
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(directory, O_RDONLY | O_DIRECTORY));
  std::unique_ptr<LayerStore> store(
      new LayerStore(directory, std::move(fd), metadata));
  RETURN_IF_ERROR(store->DropDamaged());
  RETURN_IF_ERROR_AS(store->Sweep(), "sweep " + Quoted(directory));
  return store;
}

std::string LayerStore::PathOf(uint64_t number) const {
  return directory_ + "/" + std::to_string(number);
}

Status LayerStore::DropDamaged() {
  ASSIGN_OR_RETURN(const std::string boot, BootId());
  return metadata_.Update([&](Transaction& tx) -> Status {
    ASSIGN_OR_RETURN(const LayerMap layers,
                     Readable<LayerRecord>(tx, "layers"));
    for (const auto& [chain, record] : layers) {
      if (record.unflushed_boot_id().empty() ||
          record.unflushed_boot_id() == boot) {
        continue;
      }
      LOG(WARNING) << "layer " << chain << " was not flushed before the last "
                   << "boot ended: dropped";
      RETURN_IF_ERROR(kLayers.Erase(tx, chain));
    }
    return OkStatus();
  });
}

Status LayerStore::Sweep() {
  std::set<uint64_t> owned;
  Status known;
  RETURN_IF_ERROR(metadata_.View([&](const Transaction& tx) -> Status {
    known = CheckOwners(tx);
    ASSIGN_OR_RETURN(const auto layers, Readable<LayerRecord>(tx, "layers"));
    for (const auto& [chain, record] : layers) owned.insert(record.number());
    ASSIGN_OR_RETURN(const auto rootfs, Readable<RootfsRecord>(tx, "rootfs"));
    for (const auto& [key, record] : rootfs) owned.insert(record.number());
    return OkStatus();
  }));
  if (!known.ok()) {
    LOG(ERROR) << "layers are not swept: " << Message(known);
  }
  uint64_t highest = owned.empty() ? 0 : *owned.rbegin();
  ASSIGN_OR_RETURN(const std::vector<std::string> names,
                   ListDirectory(fd_.get()));
  for (const std::string& name : names) {
    // "<n>" of a layer, "<n>.work" of an overlay.
    const std::string digits = name.substr(0, name.find('.'));
    const std::optional<uint64_t> number = ParseUint(digits);
    if (number) highest = std::max(highest, *number);
    if (number && (!known.ok() || owned.count(*number) > 0)) continue;
    RETURN_IF_ERROR(RemoveTree(fd_.get(), name));
  }
  next_number_ = highest + 1;
  return OkStatus();
}

StatusOr<std::unique_ptr<LayerStore::Staging>> LayerStore::Stage() {
  const uint64_t number = NextNumber();
  const std::string name = std::to_string(number);
  if (mkdirat(fd_.get(), name.c_str(), 0755) != 0) {
    return Errno(errno, "mkdir " + Quoted(PathOf(number)));
  }
  auto staging = std::make_unique<Staging>(*this, number);
  if (fchmodat(fd_.get(), name.c_str(), 0755, 0) != 0) {
    return Errno(errno, "chmod " + Quoted(PathOf(number)));
  }
  return staging;
}

StatusOr<DiskUsage> LayerStore::LayerUsage(const Digest& chain) const {
  DiskUsage usage;
  RETURN_IF_ERROR(metadata_.View([&](const Transaction& tx) -> Status {
    ASSIGN_OR_RETURN(const LayerRecord record, kLayers.Get(tx, chain.str()));
    usage = {record.bytes(), record.inodes()};
    return OkStatus();
  }));
  return usage;
}

Status LayerStore::Commit(Staging& staging, const Digest& chain,
                          const Digest& parent, const Digest& diff_id,
                          DiskUsage usage) {
  ASSIGN_OR_RETURN(const UniqueFd root,
                   OpenFile(staging.path(), O_PATH | O_DIRECTORY));
  LayerRecord record;
  ASSIGN_OR_RETURN(const bool opaque, IsOpaque(root.get()));
  ASSIGN_OR_RETURN(*record.mutable_unflushed_boot_id(), BootId());
  record.set_opaque(opaque);
  record.set_number(staging.number());
  record.set_parent(parent.str());
  record.set_diff_id(diff_id.str());
  record.set_bytes(usage.bytes);
  record.set_inodes(usage.inodes);
  RETURN_IF_ERROR_AS(metadata_.Update([&](Transaction& tx) -> Status {
    if (!parent.empty()) {
      RETURN_IF_ERROR(kLayers.Get(tx, parent.str()).status());
    }
    if (kLayers.Get(tx, chain.str()).ok()) {
      return AlreadyExists("layer " + chain.str());
    }
    // Takes the place of one that could not be read.
    RETURN_IF_ERROR(tx.Erase(kSetAside, kSetAsideLayer + chain.str()));
    return kLayers.Put(tx, chain.str(), record);
  }),
                     "commit layer " + chain.str());
  staging.Keep();
  return OkStatus();
}

StatusOr<std::vector<std::string>> LayerStore::Directories(
    const Digest& chain) const {
  std::vector<std::string> directories;
  RETURN_IF_ERROR(metadata_.View([&](const Transaction& tx) -> Status {
    std::string at = chain.str();
    bool hidden = false;
    while (!at.empty()) {
      ASSIGN_OR_RETURN(const LayerRecord record, kLayers.Get(tx, at));
      if (!hidden) directories.push_back(PathOf(record.number()));
      hidden = hidden || record.opaque();
      at = record.parent();
    }
    return OkStatus();
  }));
  return directories;
}

Status LayerStore::MarkFlushed(Transaction& tx, const Digest& chain) const {
  for (std::string at = chain.str(); !at.empty();) {
    ASSIGN_OR_RETURN(LayerRecord record, kLayers.Get(tx, at));
    if (!record.unflushed_boot_id().empty()) {
      record.clear_unflushed_boot_id();
      RETURN_IF_ERROR(kLayers.Put(tx, at, record));
    }
    at = record.parent();
  }
  return OkStatus();
}

StatusOr<Snapshotter::Unused> LayerStore::ForgetUnused(
    const std::set<Digest>& wanted) {
  LayerMap doomed;
  RETURN_IF_ERROR(metadata_.Update([&](Transaction& tx) -> Status {
    RETURN_IF_ERROR_AS(CheckOwners(tx), "layers are kept");
    ASSIGN_OR_RETURN(doomed, kLayers.All(tx));
    std::set<std::string> roots;
    for (const Digest& chain : wanted) roots.insert(chain.str());
    ASSIGN_OR_RETURN(const auto trees, kRootfs.All(tx));
    for (const auto& [key, record] : trees) roots.insert(record.chain_id());
    for (const std::string& root : roots) {
      for (std::string at = root; !at.empty();) {
        const auto it = doomed.find(at);
        if (it == doomed.end()) break;  // spared already, with all below
        at = it->second.parent();
        doomed.erase(it);
      }
    }
    for (const auto& [chain, record] : doomed) {
      RETURN_IF_ERROR(kLayers.Erase(tx, chain));
    }
    return OkStatus();
  }));
  Snapshotter::Unused unused;
  for (const auto& [chain, record] : doomed) {
    unused.numbers.push_back(record.number());
    unused.usage.bytes += record.bytes();
    unused.usage.inodes += record.inodes();
  }
  return unused;
}

Status LayerStore::RemoveDirectory(uint64_t number) {
  const std::string name = std::to_string(number);
  RETURN_IF_ERROR(RemoveTree(fd_.get(), name + ".work"));
  RETURN_IF_ERROR(RemoveTree(fd_.get(), name + ".new"));
  return RemoveTree(fd_.get(), name);
}

StatusOr<DiskUsage> LayerStore::TotalUsage() const {
  DiskUsage usage;
  RETURN_IF_ERROR(metadata_.View([&](const Transaction& tx) -> Status {
    ASSIGN_OR_RETURN(const LayerMap layers, kLayers.All(tx));
    for (const auto& [chain, record] : layers) {
      usage.bytes += record.bytes();
      usage.inodes += record.inodes();
    }
    return OkStatus();
  }));
  return usage;
}

}  // namespace berth::image
