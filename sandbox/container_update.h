#ifndef SANDBOX_CONTAINER_UPDATE_H_
#define SANDBOX_CONTAINER_UPDATE_H_

#include "api/state/v1/state.pb.h"
#include "base/context.h"
#include "base/status.h"
#include "sandbox/core.h"
#include "sandbox/ledger/ledger.h"

namespace berth::sandbox {

// ContainerManager::Update of a container whose lock is held, without a word to
// plugins: whether or not it runs. On failure the old limits stay, in the
// kernel and in the record.
Status ChangeLimits(const Context& ctx, Core& core, HeldContainer& held,
                    state::v1::Resources limits);

}  // namespace berth::sandbox

#endif  // SANDBOX_CONTAINER_UPDATE_H_
