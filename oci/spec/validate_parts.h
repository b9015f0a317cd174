// The longer checks of validate.h, a file for each: private to this library.
#ifndef OCI_SPEC_VALIDATE_PARTS_H_
#define OCI_SPEC_VALIDATE_PARTS_H_

#include "base/status.h"
#include "oci/spec/spec.h"

namespace berth::oci {

// Those of the process, then those of `linux`.
Status CheckScheduling(const ProcessSpec& process);
Status CheckMemoryPolicy(const MemoryPolicy& policy);
Status CheckSeccomp(const Seccomp& seccomp);
// Only what belongs to a namespace that the container does not share with the
// host: everything else would change the host.
Status CheckSysctls(const Linux& linux);

}  // namespace berth::oci

#endif  // OCI_SPEC_VALIDATE_PARTS_H_
