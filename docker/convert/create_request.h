// What POST /containers/create asks for, as configs of our own. Pure.
#ifndef DOCKER_CONVERT_CREATE_REQUEST_H_
#define DOCKER_CONVERT_CREATE_REQUEST_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "api/state/v1/image.pb.h"
#include "api/state/v1/state.pb.h"
#include "base/json.h"
#include "base/status.h"
#include "docker/convert/is_unset.h"
#include "docker/convert/log_forward.h"
#include "docker/convert/network_request.h"

namespace berth::docker {

// A volume that a mount of the container uses: the route makes it and fills in
// the mount's host_path.
struct VolumeUse {
  int mount = 0;  // index into ContainerConfig.mounts
  std::string name;
  bool anonymous = false;  // `name` is made up
  bool copy_image_content = true;
  // Of a volume made by the way.
  std::map<std::string, std::string> driver_options;
  std::map<std::string, std::string> labels;
};

// An entry of HostConfig.VolumesFrom.
struct VolumeSource {
  std::string container;  // as typed
  bool readonly = false;
};

struct CreateRequest {
  // As sent, with what the image adds: the notes from which inspect answers.
  Json config;
  Json host_config;
  state::v1::SandboxConfig sandbox;
  state::v1::ContainerConfig container;
  std::vector<VolumeUse> volumes;
  // Whose volumes and binds the container takes as well, where nothing is.
  std::vector<VolumeSource> volumes_from;
  // Of NetworkingConfig; which networks these are is for the caller to find.
  std::vector<EndpointRequest> endpoints;
  // Where the log goes besides.
  LogForward forward;
  // The template of a tag that each line of the log gets (log_tag.h).
  std::string log_tag;
  // Of the endpoint that NetworkMode names, unless that has its own.
  std::string mac;
  // Of HostConfig.Links: names of the container's own for others of its
  // network.
  std::map<std::string, std::string> links;  // alias -> container
  // The host port of a mapping (index into port_mappings) is one of these.
  std::map<int, std::pair<uint32_t, uint32_t>> port_ranges;
  // "container:NAME" of the three modes, as typed; "" otherwise.
  std::string network_container;
  std::string pid_container;
  std::string ipc_container;
  // A mount is to be refused rather than read-only at its top alone.
  bool force_recursive_readonly = false;
  // A reaper is to be pid 1: then the pid namespace is the sandbox's, whose
  // pid 1 the shim provides, and the container's program is another process.
  bool init = false;
};

// The names of members may be in any case, as Go's decoder takes them.
// INVALID_ARGUMENT for what is wrong, UNIMPLEMENTED for a field that is set
// and that we do not honour: both name it. The image's id and name, and all
// that needs the host (names of containers, volumes, log path, free ports) are
// left to the caller.
StatusOr<CreateRequest> ConvertCreate(const Json& written,
                                      const state::v1::ImageConfig& image);

// Parts of ConvertCreate, each in a file of its own.
Status ConvertHostConfig(const Json& host, CreateRequest& request);
Status ConvertMounts(const Json& config, const Json& host,
                     const state::v1::ImageConfig& image,
                     CreateRequest& request);
Status ConvertPorts(const Json& config, const Json& host,
                    const state::v1::ImageConfig& image,
                    CreateRequest& request);

// Takes out of the limits what cgroup v2 has nothing for, and tells it in
// dockerd's words.
std::vector<std::string> DiscardV1Limits(state::v1::Resources& limits);

// "64m" in bytes; INVALID_ARGUMENT naming `what`.
StatusOr<int64_t> ParseBytes(const std::string& text, const std::string& what);

}  // namespace berth::docker

#endif  // DOCKER_CONVERT_CREATE_REQUEST_H_
