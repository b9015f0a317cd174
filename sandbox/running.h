#ifndef SANDBOX_RUNNING_H_
#define SANDBOX_RUNNING_H_

#include <memory>
#include <string>

#include "base/status.h"
#include "sandbox/core.h"
#include "sandbox/ids.h"
#include "sandbox/inventory.h"

namespace berth::sandbox {

// A container and its task, for a verb that needs it running.
struct Running {
  ContainerStatus record;
  std::shared_ptr<LiveTask> live;
};

// Without the lock: such verbs go on while a Stop waits, and beside each other.
// NOT_FOUND; FAILED_PRECONDITION if it does not run. `verb`: "exec in", for
// errors.
StatusOr<Running> FindRunning(const Core& core, const ContainerId& id,
                              const std::string& verb);

}  // namespace berth::sandbox

#endif  // SANDBOX_RUNNING_H_
