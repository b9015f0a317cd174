// The rules between the fields of config.json, and those of the values that a
// type cannot hold: what must be refused before anything is made.
// Thread-safe, pure: looks at no file and no kernel.
#ifndef OCI_SPEC_VALIDATE_H_
#define OCI_SPEC_VALIDATE_H_

#include "base/status.h"
#include "oci/spec/spec.h"

namespace berth::oci {

// INVALID_ARGUMENT or UNIMPLEMENTED with the path of the first wrong field.
// `process` may be absent (create allows it).
Status Validate(const Spec& spec);
// The process of an exec, which comes without the rest.
Status ValidateProcess(const ProcessSpec& process);
// Of an update as well: ranges, and limits that contradict each other.
Status ValidateResources(const Resources& resources);

}  // namespace berth::oci

#endif  // OCI_SPEC_VALIDATE_H_
