#ifndef IMAGE_PROFILES_H_
#define IMAGE_PROFILES_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/context.h"
#include "base/keyed_mutex.h"
#include "base/status.h"
#include "base/store/metadata_store.h"
#include "image/reference.h"
#include "image/registry/credentials.h"
#include "image/transfer/transfer.h"

namespace berth::image {

// Seccomp profiles from registries: artifacts of one file, JSON, in an OCI
// manifest. They are no images: they have no names there, and the garbage
// collector knows nothing of them. A profile stays until it is removed, and a
// container keeps what it was made with.
//
// Thread-safe.
class Profiles {
 public:
  // Both must outlive it.
  Profiles(MetadataStore& metadata, Transfer& transfer)
      : metadata_(metadata), transfer_(transfer) {}

  // True if it was here: then no registry is asked. `check` is the last word on
  // what is fetched. An error that no other try mends has the word
  // "SecurityProfileInvalid", one of a registry that cannot be reached
  // "RegistryUnavailable". INVALID_ARGUMENT for a name without a digest.
  StatusOr<bool> Pull(const Context& ctx, std::string_view name,
                      const RegistryAuth& auth,
                      const std::function<Status(const std::string&)>& check);
  struct Profile {
    std::string digest;
    std::vector<std::string> names;
    uint64_t size = 0;  // bytes
  };
  StatusOr<std::vector<Profile>> List() const;
  // The JSON of the profile with the digest in `name`. FAILED_PRECONDITION if
  // it is not here.
  StatusOr<std::string> Read(std::string_view name) const;
  // OK if it is not there.
  Status Remove(const std::string& digest);

 private:
  MetadataStore& metadata_;
  Transfer& transfer_;
  // By reference, not by digest: a silent registry holds up its own pulls only.
  KeyedMutex pulls_;
};

}  // namespace berth::image

#endif  // IMAGE_PROFILES_H_
