#ifndef SHIM_RUNTIME_POD_INIT_H_
#define SHIM_RUNTIME_POD_INIT_H_

#include <sys/types.h>

#include <string>

#include "base/status.h"

namespace berth::shim {

// Makes pid 1 of a pid namespace that the containers of a pod share; it does
// nothing but exist, and dies with the caller, whose child it is.
//
// Containers see it, and one with CAP_SYS_PTRACE may take it over. So it has
// nothing to give: its root is empty and its mount namespace has nothing else,
// it holds no descriptor and no capability, and the kernel lets it read and
// exit, no more (seccomp(2), strict mode).
//
// With the path of a user namespace the pid namespace belongs to that one.
// Returns when all of this is so. Only for a single-threaded caller.
StatusOr<pid_t> MakePodInit(const std::string& user_namespace);

}  // namespace berth::shim

#endif  // SHIM_RUNTIME_POD_INIT_H_
