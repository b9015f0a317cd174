// What a request can get wrong by itself, before anything is looked up or
// made. Pure. INVALID_ARGUMENT: it can never work; UNIMPLEMENTED: not here;
// both name the field.
#ifndef SANDBOX_SPEC_CHECK_CONFIG_H_
#define SANDBOX_SPEC_CHECK_CONFIG_H_

#include "api/state/v1/state.pb.h"
#include "base/status.h"

namespace berth::sandbox {

Status CheckSandboxConfig(const state::v1::SandboxConfig& config);
Status CheckContainerConfig(const state::v1::ContainerConfig& config,
                            const state::v1::SandboxConfig& sandbox);

}  // namespace berth::sandbox

#endif  // SANDBOX_SPEC_CHECK_CONFIG_H_
