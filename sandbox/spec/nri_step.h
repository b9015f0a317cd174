#ifndef SANDBOX_SPEC_NRI_STEP_H_
#define SANDBOX_SPEC_NRI_STEP_H_

#include "base/status.h"
#include "oci/spec/spec.h"
#include "sandbox/spec/spec_builder.h"

namespace berth::sandbox {

// What plugins (NRI) want of the container, `*in.adjustment`, over all that the
// steps before have made. A name with a "-" before it takes away what it names.
// A device may be used as well. Limits, the cgroup and CDI devices are not its
// business: they are in the record, or among `in.cdi`. Pure.
//
// INVALID_ARGUMENT for what is wrong; UNIMPLEMENTED, naming the field, for what
// we cannot do: I/O priority, scheduler, network devices, caches, memory
// policy.
Status NriStep(const SpecInputs& in, oci::Spec& spec);

}  // namespace berth::sandbox

#endif  // SANDBOX_SPEC_NRI_STEP_H_
