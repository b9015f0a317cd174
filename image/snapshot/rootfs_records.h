#ifndef IMAGE_SNAPSHOT_ROOTFS_RECORDS_H_
#define IMAGE_SNAPSHOT_ROOTFS_RECORDS_H_

#include <string>

#include "api/state/v1/image.pb.h"
#include "base/digest.h"
#include "base/status.h"
#include "base/store/metadata_store.h"

namespace berth::image {

// "rootfs": the trees of a Snapshotter, by the keys of root file systems.
// RootfsStore writes it; the snapshotter spares what it names.
extern const Table<state::v1::RootfsRecord> kRootfs;

// Where the metadata store keeps records that could not be read, by
// "table/key".
inline constexpr char kSetAside[] = "quarantine";
inline constexpr char kSetAsideRootfs[] = "rootfs/";

// What a record's chain_id names; the empty digest for no layers.
StatusOr<Digest> ParseChain(const std::string& chain_id);

// After a root file system's record was not found or not read: forgets what was
// set aside of it. `why`, unless that is one of the two.
Status ForgetUnreadable(MetadataStore& metadata, const Status& why,
                        const std::string& key);

}  // namespace berth::image

#endif  // IMAGE_SNAPSHOT_ROOTFS_RECORDS_H_
