#ifndef SHIM_CLEANUP_H_
#define SHIM_CLEANUP_H_

#include <string>

#include "base/status.h"
#include "shim/start.h"

namespace berth::shim {

// `delete`: run by a manager whose shim no longer answers. Kills what is left
// of the container `flags.id`, and of every container that a shim has recorded
// in the working directory, removes their runtime state and unmounts their
// root filesystems. Answers a serialized DeleteResponse: 137, now.
//
// `input`: the options that the shim was started with, if the manager sends
// them; else the record's count, else the defaults.
StatusOr<std::string> CleanUp(const ShimFlags& flags, const std::string& input);

}  // namespace berth::shim

#endif  // SHIM_CLEANUP_H_
