#ifndef DOCKER_ROUTES_IMAGE_MANIFESTS_H_
#define DOCKER_ROUTES_IMAGE_MANIFESTS_H_

#include "base/json.h"
#include "docker/engine.h"
#include "image/image_store.h"

namespace berth::docker {

// What an image was pulled as: the descriptor of its index, or of its manifest.
// Null if the document is not here. Thread-safe, as the engine is.
Json DescriptorJson(const Engine& engine, const image::Image& image);

// ImageManifestSummary of each manifest of the image: the one of this host,
// with the containers that use it, and those that its index names besides,
// which are not here.
Json ManifestsJson(const Engine& engine, const image::Image& image);

}  // namespace berth::docker

#endif  // DOCKER_ROUTES_IMAGE_MANIFESTS_H_
