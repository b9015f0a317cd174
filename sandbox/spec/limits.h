// Resource limits as the runtime specification has them. Pure but for the
// device numbers of block I/O limits.
#ifndef SANDBOX_SPEC_LIMITS_H_
#define SANDBOX_SPEC_LIMITS_H_

#include "api/state/v1/state.pb.h"
#include "base/status.h"
#include "oci/spec/resources.h"

namespace berth::sandbox {

// INVALID_ARGUMENT and UNIMPLEMENTED name the field. Device rules are not
// among them. Without a hugetlb controller limits of 0 are left out: kubelet
// sends one for each page size, wanted or not; any other is kept, to fail.
StatusOr<oci::Resources> ToOci(const state::v1::Resources& limits,
                               bool has_hugetlb);

// `current` with the fields of `change` that are set.
state::v1::Resources Merge(const state::v1::Resources& current,
                           const state::v1::Resources& change);

}  // namespace berth::sandbox

#endif  // SANDBOX_SPEC_LIMITS_H_
