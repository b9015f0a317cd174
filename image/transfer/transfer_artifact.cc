// Transfer::FetchArtifact: a file that a registry holds as an image.
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/strings.h"
#include "image/transfer/transfer.h"

namespace berth::image {
namespace {

// The one file of it.
StatusOr<Descriptor> FileOf(const ImageSource::Fetched& fetched,
                            uint64_t limit) {
  ASSIGN_OR_RETURN(const Document document,
                   ParseDocument(fetched.bytes, fetched.descriptor.media_type));
  const Manifest* const manifest = std::get_if<Manifest>(&document);
  if (manifest == nullptr || manifest->layers.size() != 1) {
    return InvalidArgument("not an artifact of one file");
  }
  const Descriptor& file = manifest->layers[0];
  if (file.size > limit) {
    return InvalidArgument("a file of " + std::to_string(file.size) +
                           " bytes, limit " + std::to_string(limit));
  }
  return file;
}

}  // namespace

StatusOr<std::string> Transfer::FetchArtifact(const Context& ctx,
                                              const Reference& reference,
                                              const RegistryAuth& auth,
                                              uint64_t limit) {
  const auto fetch = [&]() -> StatusOr<std::string> {
    ASSIGN_OR_RETURN(std::vector<RegistryHost> hosts,
                     HostsFor(reference, auth));
    ASSIGN_OR_RETURN(const RegistryShares::Place place,
                     shares_.Acquire(ctx, reference.domain()));
    RegistryClient client(http_, reference, std::move(hosts), options_.retry);
    ASSIGN_OR_RETURN(const ImageSource::Fetched fetched, client.Resolve(ctx));
    ASSIGN_OR_RETURN(const Descriptor file, FileOf(fetched, limit));
    if (!file.data.empty()) return file.data;
    Leases::Lease lease(stores_.leases);
    lease.Add(file.digest);
    RETURN_IF_ERROR(installer_.FetchBlob(ctx, client, file));
    return stores_.content.Read(file.digest, limit);
  };
  StatusOr<std::string> bytes = fetch();
  stores_.garbage.Wake();  // no image needs the blob
  if (bytes.ok()) return bytes;
  return WithReason(
      Annotate(bytes.status(), "pull " + Quoted(reference.str())));
}

}  // namespace berth::image
