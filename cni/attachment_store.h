#ifndef CNI_ATTACHMENT_STORE_H_
#define CNI_ATTACHMENT_STORE_H_

#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/store/metadata_store.h"

namespace berth::cni {

// What was asked of plugins and what they gave: one record for each interface
// of a sandbox, in the daemon's database, so that it outlives a reboot as the
// addresses do that IPAM plugins handed out. Records are text to this class;
// a damaged one is the reader's matter.
//
// Thread-safe.
class AttachmentStore {
 public:
  struct Record {
    std::string sandbox_id;
    std::string interface;
    std::string text;
  };

  explicit AttachmentStore(MetadataStore& store) : store_(store) {}

  // NOT_FOUND if nothing is attached there.
  StatusOr<std::string> Load(const std::string& sandbox_id,
                             const std::string& interface) const;
  Status Save(const std::string& sandbox_id, const std::string& interface,
              const std::string& text);
  Status Forget(const std::string& sandbox_id, const std::string& interface);
  // Those with a record of this sandbox, "eth2" before "eth10".
  StatusOr<std::vector<std::string>> Interfaces(
      const std::string& sandbox_id) const;
  // All records.
  StatusOr<std::vector<Record>> All() const;
  // The sandboxes that have a record.
  StatusOr<std::set<std::string>> Sandboxes() const;

  // Takes in the files that an older version kept, <folder>/<sandbox id>.json,
  // each the record of `interface`, and removes them. A missing folder: OK.
  Status TakeOver(const std::string& folder, const std::string& interface);

 private:
  MetadataStore& store_;
};

}  // namespace berth::cni

#endif  // CNI_ATTACHMENT_STORE_H_
