// The part of Transfer that speaks to registries about more than a pull.
#include <utility>

#include "base/strings.h"
#include "image/transfer/transfer.h"

namespace berth::image {
namespace {

// The registry itself, rather than a mirror of it.
StatusOr<RegistryHost> UpstreamOf(const std::vector<RegistryHost>& hosts) {
  for (const RegistryHost& host : hosts) {
    if (host.is_upstream && host.can_push) return host;
  }
  return FailedPrecondition("the configuration lets nobody push there");
}

}  // namespace

Status Transfer::Push(const Context& ctx, const std::string& id,
                      const Reference& name, const RegistryAuth& auth,
                      const PushFunction& progress) {
  ASSIGN_OR_RETURN(const Image image, stores_.images.Resolve(id));
  ASSIGN_OR_RETURN(const std::vector<RegistryHost> hosts, HostsFor(name, auth));
  ASSIGN_OR_RETURN(const RegistryHost host, UpstreamOf(hosts));
  RegistryPusher sink(
      http_, name, host,
      {image.record.sources().begin(), image.record.sources().end()}, progress);
  return Export(ctx, {{image.id(), {name}}}, sink);
}

Status Transfer::Login(const Context& ctx, const std::string& domain,
                       const RegistryAuth& auth) {
  ASSIGN_OR_RETURN(const Reference any, Reference::Parse(domain + "/login"));
  ASSIGN_OR_RETURN(const std::vector<RegistryHost> hosts, HostsFor(any, auth));
  ASSIGN_OR_RETURN(const RegistryHost host, UpstreamOf(hosts));
  return RegistryPusher::CheckLogin(ctx, http_, host);
}

StatusOr<Transfer::Remote> Transfer::Look(const Context& ctx,
                                          const Reference& name,
                                          const RegistryAuth& auth) {
  ASSIGN_OR_RETURN(std::vector<RegistryHost> hosts, HostsFor(name, auth));
  RegistryClient client(http_, name, std::move(hosts), options_.retry);
  ASSIGN_OR_RETURN(const ImageSource::Fetched fetched, client.Resolve(ctx));
  ASSIGN_OR_RETURN(const Document document,
                   ParseDocument(fetched.bytes, fetched.descriptor.media_type));
  Remote remote;
  remote.descriptor = fetched.descriptor;
  if (const Index* const index = std::get_if<Index>(&document)) {
    for (const Descriptor& manifest : index->manifests) {
      if (manifest.has_platform()) {
        remote.platforms.push_back(manifest.platform);
      }
    }
    return remote;
  }
  // Only the configuration knows what it runs on.
  const Descriptor& config = std::get<Manifest>(document).config;
  Leases::Lease lease(stores_.leases);
  lease.Add(config.digest);
  if (config.size > kMaxConfigBytes) {
    return FailedPrecondition("the image's configuration is too long");
  }
  RETURN_IF_ERROR(installer_.FetchBlob(ctx, client, config));
  ASSIGN_OR_RETURN(const std::string text,
                   stores_.content.Read(config.digest, kMaxConfigBytes));
  ASSIGN_OR_RETURN(const ImageSpec spec, ParseImageSpec(text));
  remote.platforms.push_back(spec.platform);
  stores_.garbage.Wake();
  return remote;
}

}  // namespace berth::image
