// Programs that the configuration wants run at points of a container's life.
// Source: config.md, "POSIX-platform Hooks".
#ifndef OCI_CONTAINER_HOOKS_H_
#define OCI_CONTAINER_HOOKS_H_

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "oci/spec/spec.h"

namespace berth::oci {

// What a hook has of the process that runs it.
struct HookSetting {
  // Where it begins; empty: where the caller is.
  std::string directory = {};
  // Of hooks without one; null: the caller's.
  const std::vector<std::string>* env = nullptr;
  // Done by the hook's own process last of all before execve.
  std::function<Status()> confine = nullptr;
  // Files that its standard output and error are added to; empty: the caller's,
  // and the error that is returned.
  std::string output = {};
  std::string errors = {};
};

// Of hooks that the runtime itself runs, in the bundle.
HookSetting RuntimeHookSetting(const Hooks& hooks, const std::string& bundle);

// In order; each gets `state` (the state JSON) on its standard input. The
// first that fails, cannot be run or outlasts its timeout ends it: INTERNAL or
// DEADLINE_EXCEEDED, with the hook's place, exit status and what it said on
// its standard error. `name` is the list's: "createRuntime".
//
// Runs them in the namespaces of the calling process, which must have one
// thread. A hook that goes on in the background is not waited for.
Status RunHooks(const char* name, const std::vector<Hook>& hooks,
                const std::string& state, const HookSetting& setting = {});

}  // namespace berth::oci

#endif  // OCI_CONTAINER_HOOKS_H_
