// The half of Transfer that sends images.
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "base/strings.h"
#include "image/transfer/exporter.h"
#include "image/transfer/transfer.h"

namespace berth::image {

Status Transfer::Export(const Context& ctx,
                        const std::vector<Departure>& images, ImageSink& sink) {
  // After the lease has ended: what was fetched for this alone can go.
  bool fetched = false;
  const absl::Cleanup collect = [&] {
    if (fetched) stores_.garbage.Wake();
  };
  Leases::Lease lease(stores_.leases);
  Exporter exporter(stores_.content, lease,
                    [&](const Context& fetch_ctx, const std::string& repository,
                        const Descriptor& blob) {
                      fetched = true;
                      return FetchFrom(fetch_ctx, repository, blob);
                    });
  for (const Departure& departure : images) {
    ASSIGN_OR_RETURN(const Image image, stores_.images.Resolve(departure.id));
    RETURN_IF_ERROR_AS(exporter.Add(ctx, image.record, departure.names),
                       "export image " + image.id());
  }
  return exporter.WriteTo(ctx, sink);
}

Status Transfer::FetchFrom(const Context& ctx, const std::string& repository,
                           const Descriptor& blob) {
  ASSIGN_OR_RETURN(const Reference reference, Reference::Parse(repository));
  ASSIGN_OR_RETURN(std::vector<RegistryHost> hosts, HostsFor(reference, {}));
  ASSIGN_OR_RETURN(const RegistryShares::Place place,
                   shares_.Acquire(ctx, reference.domain()));
  RegistryClient client(http_, reference, std::move(hosts), options_.retry);
  return installer_.FetchBlob(ctx, client, blob);
}

}  // namespace berth::image
