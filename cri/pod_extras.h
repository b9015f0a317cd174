// What pods and containers can have that Kubernetes has no field for: by the
// node's settings and, where these allow it, by the pod's annotations.
#ifndef CRI_POD_EXTRAS_H_
#define CRI_POD_EXTRAS_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "api/state/v1/state.pb.h"
#include "base/status.h"

namespace berth::cri {

// Annotations of a pod: the size of /dev/shm ("128Mi"), and the limits of its
// containers' processes ("nofile=1024:4096,core=0"); those of one container are
// kUlimits + "/" + its name.
inline constexpr char kShmSize[] = "io.berth.shm-size";
inline constexpr char kUlimits[] = "io.berth.ulimits";

// Of one runtime handler. A plain value.
struct PodExtras {
  int64_t shm_size = 0;  // bytes; 0: the usual 64 MiB
  std::map<std::string, state::v1::Rlimit> ulimits;  // by "RLIMIT_NOFILE"
  std::set<std::string> annotations;                 // those that count
};

// As a configuration file says it. INVALID_ARGUMENT: not a size, an
// unknown limit, a soft limit above the hard one, an unknown annotation.
StatusOr<PodExtras> ParsePodExtras(const std::string& shm_size,
                                   const std::vector<std::string>& ulimits,
                                   const std::vector<std::string>& annotations);

// Into what the client asked for. INVALID_ARGUMENT, naming the annotation, for
// one that counts and cannot be read.
Status AddExtras(const PodExtras& extras, state::v1::SandboxConfig& pod);
Status AddExtras(const PodExtras& extras, const state::v1::SandboxConfig& pod,
                 state::v1::ContainerConfig& container);

}  // namespace berth::cri

#endif  // CRI_POD_EXTRAS_H_
