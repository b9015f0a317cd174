#include "image/snapshot/rootfs_records.h"

#include <glog/logging.h>

#include "base/strings.h"

namespace berth::image {

const Table<state::v1::RootfsRecord> kRootfs("rootfs");

StatusOr<Digest> ParseChain(const std::string& chain_id) {
  if (chain_id.empty()) return Digest();
  return Digest::Parse(chain_id);
}

Status ForgetUnreadable(MetadataStore& metadata, const Status& why,
                        const std::string& key) {
  const std::string aside = kSetAsideRootfs + key;
  if (IsNotFound(why)) {
    const Status is_aside = metadata.View([&](const Transaction& tx) {
      return tx.Get(kSetAside, aside).status();
    });
    if (!is_aside.ok()) return IgnoreNotFound(is_aside);
  } else if (why.code() != StatusCode::kDataLoss) {
    return why;
  }
  LOG(ERROR) << "the record of root file system " << Quoted(key)
             << " could not be read: its directory is left to the next start";
  return metadata.Update([&](Transaction& tx) -> Status {
    RETURN_IF_ERROR(tx.Erase(kSetAside, aside));
    return kRootfs.Erase(tx, key);
  });
}

}  // namespace berth::image
