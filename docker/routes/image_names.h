// Images as clients name them: what the routes of images share.
#ifndef DOCKER_ROUTES_IMAGE_NAMES_H_
#define DOCKER_ROUTES_IMAGE_NAMES_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "docker/call.h"
#include "docker/engine.h"
#include "image/image_service.h"
#include "image/image_store.h"
#include "image/reference.h"

namespace berth::docker {

// The short forms of full names.
std::vector<std::string> Familiar(const std::vector<std::string>& names);
// Tags, then digests: an image may have either alone.
std::vector<std::string> NamesOf(const image::Image& image);
// NOT_FOUND in Docker's words.
StatusOr<image::Image> FindImage(const Engine& engine, const std::string& name);
// Its configuration document; empty if it cannot be read.
Json DocumentOf(const Engine& engine, const image::Image& image);
// The query parameters repo and tag as a name; nothing without a repo.
// INVALID_ARGUMENT for a digest and for what is no name.
StatusOr<std::optional<image::Reference>> NewNameOf(const Call& call);
// The values of a query parameter that may be given several times.
std::vector<std::string> QueryList(const Call& call, const std::string& query);

std::map<std::string, std::string> LabelsOf(const image::Image& image);
// Images had two sizes before version 1.44 of the API: both the same.
void AddVirtualSize(const Call& call, const image::Image& image, Json& json);
// ImageSummary, an element of the list, without shared sizes.
Json ImageSummary(const Call& call, const image::Image& image);

// INVALID_ARGUMENT, or NOT_FOUND if the query parameter names a platform that
// is not the host's: images are of that alone.
Status CheckPlatforms(const Call& call, const std::string& query);

// The header X-Registry-Auth: base64url of JSON. INVALID_ARGUMENT.
StatusOr<image::RegistryAuth> RegistryAuthOf(const Call& call);

// POST /images/create?fromSrc=...: docker import.
Status ImportImage(Engine& engine, Call& call);

}  // namespace berth::docker

#endif  // DOCKER_ROUTES_IMAGE_NAMES_H_
