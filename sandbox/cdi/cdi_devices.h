// The CDI devices of this host: what the files in its CDI folders describe.
#ifndef SANDBOX_CDI_CDI_DEVICES_H_
#define SANDBOX_CDI_CDI_DEVICES_H_

#include <string>
#include <vector>

#include "api/state/v1/state.pb.h"
#include "base/context.h"
#include "base/status.h"
#include "sandbox/cdi/cdi_file.h"

namespace berth::sandbox {

// The edits for `config.cdi_devices`, in the order in which they are to be
// applied: those of a file before those of its first device, each once. Numbers
// of nodes are filled in from the host's nodes, links followed.
//
// `folders` is a list with colons between its elements. Of one device in two
// folders, the one in the later folder counts; in two files of one folder it is
// in conflict, and cannot be had. A file that is broken, no regular file or
// above 1 MiB describes nothing, and is told in the log. Folders that are not
// there are empty. Files are read at each call, so that a device is there as
// soon as its file is; without cdi_devices no folder is looked at.
//
// Files are *.json and *.yaml. The error for a device that is not found names
// those that are broken.
//
// INVALID_ARGUMENT "unresolvable CDI devices a/b=c": not described, or in
// conflict. RESOURCE_EXHAUSTED: more than 4096 files or 16 MiB in all.
// As of InspectPath: the host has not got a node or the source of a bind mount.
// Thread-safe.
StatusOr<std::vector<CdiEdits>> FindCdiDevices(
    const Context& ctx, const std::string& folders,
    const state::v1::ContainerConfig& config);

}  // namespace berth::sandbox

#endif  // SANDBOX_CDI_CDI_DEVICES_H_
