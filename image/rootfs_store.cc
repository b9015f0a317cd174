#include "image/rootfs_store.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/unique_fd.h"
#include "image/layer/layer_stack.h"
#include "image/reference.h"
#include "image/snapshot/rootfs_records.h"

namespace berth::image {

using state::v1::ImageRecord;
using state::v1::RootfsRecord;

StatusOr<Rootfs> RootfsStore::Acquire(const Context& ctx,
                                      std::string_view image_id,
                                      const std::string& key,
                                      Persistence persistence) {
  return AcquireTree(ctx, image_id, key, /*read_only=*/false, persistence);
}

StatusOr<Rootfs> RootfsStore::AcquireReadOnly(const Context& ctx,
                                              std::string_view image_id,
                                              const std::string& key) {
  return AcquireTree(ctx, image_id, key, /*read_only=*/true,
                     Persistence::kDurable);
}

StatusOr<RootfsRecord> RootfsStore::Get(const std::string& key) const {
  RootfsRecord record;
  RETURN_IF_ERROR(metadata_.View([&](const Transaction& tx) -> Status {
    ASSIGN_OR_RETURN(record, kRootfs.Get(tx, key));
    return OkStatus();
  }));
  return record;
}

StatusOr<Rootfs> RootfsStore::AcquireTree(const Context& ctx,
                                          std::string_view image_id,
                                          const std::string& key,
                                          bool read_only,
                                          Persistence persistence) {
  const Digest id = ParseImageId(image_id);
  if (id.empty()) {
    return InvalidArgument("invalid image id " + Quoted(image_id));
  }
  if (key.empty()) return InvalidArgument("root file system without a key");
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock, keys_.Acquire(ctx, key));
  StatusOr<RootfsRecord> record = Get(key);
  if (IsNotFound(record.status())) {
    record = RootfsRecord();
    record->set_number(snapshots_.NextNumber());
    record->set_image_id(id.str());
    record->set_read_only(read_only);
    record->set_created(Now());
    RETURN_IF_ERROR(metadata_.Update([&](Transaction& tx) -> Status {
      ASSIGN_OR_RETURN(const ImageRecord image, images_.Get(tx, id.str()));
      record->set_chain_id(image.chain_id());
      *record->mutable_config() = image.config();
      return kRootfs.Put(tx, key, *record);
    }));
  }
  if (!record.ok()) return record.status();
  if (record->image_id() != id.str() || record->read_only() != read_only) {
    return AlreadyExists("root file system " + Quoted(key) + " of image " +
                         record->image_id());
  }
  RETURN_IF_ERROR(Failpoint("image.acquire.recorded"));
  ASSIGN_OR_RETURN(const Digest chain, ParseChain(record->chain_id()));
  Rootfs rootfs;
  rootfs.image_id = record->image_id();
  rootfs.config = record->config();
  RETURN_IF_ERROR_AS(snapshots_.Prepare(record->number(), chain),
                     "prepare root file system " + Quoted(key));
  RETURN_IF_ERROR(Failpoint("image.acquire.prepared"));
  const Access access = read_only ? Access::kReadOnly
                        : persistence == Persistence::kVolatile
                            ? Access::kVolatile
                            : Access::kDurable;
  ASSIGN_OR_RETURN(rootfs.mounts,
                   snapshots_.Mounts(record->number(), chain, access));
  return rootfs;
}

StatusOr<std::string> RootfsStore::ReadFile(const std::string& key,
                                            std::string_view path,
                                            uint64_t limit) {
  ASSIGN_OR_RETURN(const RootfsRecord record, Get(key));
  ASSIGN_OR_RETURN(const Digest chain, ParseChain(record.chain_id()));
  ASSIGN_OR_RETURN(const LayerStack stack,
                   snapshots_.Stack(record.number(), chain));
  ASSIGN_OR_RETURN(const UniqueFd file, stack.OpenFile(path));
  return ReadAll(file.get(), limit, std::string(path));
}

StatusOr<std::vector<Mount>> RootfsStore::Look(const std::string& key) {
  ASSIGN_OR_RETURN(const RootfsRecord record, Get(key));
  ASSIGN_OR_RETURN(const Digest chain, ParseChain(record.chain_id()));
  const Access access = record.read_only() ? Access::kReadOnly : Access::kLook;
  return snapshots_.Mounts(record.number(), chain, access);
}

StatusOr<DiskUsage> RootfsStore::Usage(const std::string& key) {
  ASSIGN_OR_RETURN(const RootfsRecord record, Get(key));
  return snapshots_.Usage(record.number());
}

Status RootfsStore::Release(const Context& ctx, const std::string& key) {
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock, keys_.Acquire(ctx, key));
  const StatusOr<RootfsRecord> record = Get(key);
  if (!record.ok()) return ForgetUnreadable(metadata_, record.status(), key);
  RETURN_IF_ERROR_AS(snapshots_.Remove(record->number()),
                     "remove root file system " + Quoted(key));
  RETURN_IF_ERROR(Failpoint("image.release.removed"));
  bool image_is_gone = false;
  RETURN_IF_ERROR(metadata_.Update([&](Transaction& tx) -> Status {
    image_is_gone = !images_.Get(tx, record->image_id()).ok();
    return kRootfs.Erase(tx, key);
  }));
  if (image_is_gone) garbage_.Wake();
  return OkStatus();
}

}  // namespace berth::image
