#ifndef SHIM_CLIENT_FOREIGN_EXEC_H_
#define SHIM_CLIENT_FOREIGN_EXEC_H_

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/status.h"
#include "shim/shim.h"

namespace berth::shim {

// The processes of a container; an empty list if they cannot be told.
using ListPids = std::function<std::vector<pid_t>(const Context& ctx,
                                                  const std::string& id)>;

// ExecSync by the task API alone, for shims that have nothing better: two
// fifos in `scratch`, Exec, Start, Wait, Delete, and reading all the while.
StatusOr<ExecSyncResult> ExecSyncByTask(const Context& ctx, Shim& shim,
                                        const ListPids& pids,
                                        const std::string& scratch,
                                        const ExecSyncTask& exec);

}  // namespace berth::shim

#endif  // SHIM_CLIENT_FOREIGN_EXEC_H_
