#ifndef SHIM_SERVICE_CLEANUP_H_
#define SHIM_SERVICE_CLEANUP_H_

#include <string>

#include "base/status.h"
#include "shim/service/start.h"

namespace berth::shim {

// `delete`: run by a manager whose shim no longer answers. Kills what is left
// of the container `flags.id` (for containerd), or of every container that the
// shim has recorded in the working directory (for berthd, see kSocketVariable),
// removes their runtime state and unmounts their root filesystems. Answers a
// serialized DeleteResponse: 137, now.
//
// `input`: the options that the shim was started with, if the manager sends
// them; a container's record comes first.
StatusOr<std::string> CleanUp(const ShimFlags& flags, const std::string& input);

}  // namespace berth::shim

#endif  // SHIM_SERVICE_CLEANUP_H_
