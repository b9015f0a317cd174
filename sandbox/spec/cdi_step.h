#ifndef SANDBOX_SPEC_CDI_STEP_H_
#define SANDBOX_SPEC_CDI_STEP_H_

#include "base/status.h"
#include "oci/spec/spec.h"
#include "sandbox/spec/spec_builder.h"

namespace berth::sandbox {

// The edits of `in.cdi`, each after the one before it. A variable, node or
// mount of the same name or path is replaced. A node whose file names no owner
// belongs to the first process's user. In a user namespace a bind mount is
// mapped to it, and a node with another path than on the host is one. Pure.
// UNIMPLEMENTED: edits that we cannot do (intelRdt, netDevices).
Status CdiStep(const SpecInputs& in, oci::Spec& spec);

}  // namespace berth::sandbox

#endif  // SANDBOX_SPEC_CDI_STEP_H_
