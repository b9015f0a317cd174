// The exporter "moby", which dockerd's own BuildKit has and no other: its
// images go into the engine's store. Pure functions.
#ifndef DOCKER_BUILD_EXPORTER_H_
#define DOCKER_BUILD_EXPORTER_H_

#include <string>
#include <vector>

#include "api/buildkit/v1/control.pb.h"
#include "base/status.h"
#include "image/image_store.h"
#include "image/reference.h"

namespace berth::docker {

namespace bk = moby::buildkit::v1;

// What a build gives to this engine.
struct EngineExport {
  bool wanted = false;
  std::vector<image::Reference> names;
  // The client also wants it elsewhere, and so the registry's digest.
  bool pushed = false;
};

// Turns each exporter "moby" into one that pushes to `target`, a name at the
// engine's Receiver; one that is to push as well becomes two. INVALID_ARGUMENT
// for names that are none.
StatusOr<EngineExport> TakeEngineExport(bk::SolveRequest& request,
                                        const std::string& target);

// The digest of the manifest that was pushed; INTERNAL without one.
StatusOr<Digest> PushedManifest(const bk::SolveResponse& response);

// What dockerd says of an image that it has taken in.
void DescribeEngineExport(const EngineExport& taken, const image::Image& image,
                          bk::SolveResponse& response);

}  // namespace berth::docker

#endif  // DOCKER_BUILD_EXPORTER_H_
