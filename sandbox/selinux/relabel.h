#ifndef SANDBOX_SELINUX_RELABEL_H_
#define SANDBOX_SELINUX_RELABEL_H_

#include <string>

#include "base/context.h"
#include "base/status.h"

namespace berth::sandbox {

// Gives one file or folder a label, not what is below it. OK where the file
// system has none. Links are not followed.
Status SetLabel(const std::string& path, const std::string& label);

// Gives a folder, and all below it on the same file system, a label; or a file.
// The top is last, so that a folder with the label already is done, and at
// once. Nothing is followed: each name is opened beneath the last, whoever
// renames meanwhile. `path` is absolute and one without links
// (foreign_path.h); with some it is an error.
// OK where the file system has no labels. INVALID_ARGUMENT for a folder that is
// the system's own, as /usr or /home, whatever it is called here; CANCELLED and
// DEADLINE_EXCEEDED of `ctx`.
Status Relabel(const Context& ctx, const std::string& path,
               const std::string& label);

}  // namespace berth::sandbox

#endif  // SANDBOX_SELINUX_RELABEL_H_
