#ifndef DOCKER_ROUTES_VOLUME_JSON_H_
#define DOCKER_ROUTES_VOLUME_JSON_H_

#include "base/json.h"
#include "docker/volume_store.h"

namespace berth::docker {

// A volume as the API shows it.
Json VolumeJson(const Volume& volume);

}  // namespace berth::docker

#endif  // DOCKER_ROUTES_VOLUME_JSON_H_
