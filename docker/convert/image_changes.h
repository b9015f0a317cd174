#ifndef DOCKER_CONVERT_IMAGE_CHANGES_H_
#define DOCKER_CONVERT_IMAGE_CHANGES_H_

#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace berth::docker {

// Applies lines of a Dockerfile that change an image's configuration, as the
// option --change of docker commit and docker import has them: CMD, ENTRYPOINT,
// ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR.
// Variables in them are not replaced. INVALID_ARGUMENT, in Docker's words.
Status ApplyImageChanges(const std::vector<std::string>& changes, Json& config);

// Gives an image's configuration ("config" of its document) what a container of
// it was configured with: what is to be the configuration of a new image.
void MergeContainerConfig(const Json& container, Json& config);

}  // namespace berth::docker

#endif  // DOCKER_CONVERT_IMAGE_CHANGES_H_
