#ifndef SHIM_WIRE_OPTIONS_H_
#define SHIM_WIRE_OPTIONS_H_

#include "api/shim/types/runc/options/oci.pb.h"
#include "api/shim/wire.pb.h"
#include "base/status.h"

namespace berth::shim {

// The options in an Any: containerd.runc.v1.Options, or those of other
// runtimes (runtimeoptions.v1.Options), which say nothing to us; none for an
// empty one. INVALID_ARGUMENT for any other type. Pure.
StatusOr<containerd::runc::v1::Options> ParseOptions(const wire::Any& any);

}  // namespace berth::shim

#endif  // SHIM_WIRE_OPTIONS_H_
