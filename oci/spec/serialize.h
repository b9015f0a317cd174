// The way back of parse.h: parsing what is written here gives an equal value.
// Unset members are left out. Thread-safe, pure.
#ifndef OCI_SPEC_SERIALIZE_H_
#define OCI_SPEC_SERIALIZE_H_

#include <string>

#include "oci/spec/spec.h"

namespace berth::oci {

// Compact JSON, one line.
std::string SerializeSpec(const Spec& spec);
std::string SerializeProcess(const ProcessSpec& process);
std::string SerializeResources(const Resources& resources);
// The `linux.seccomp` object alone: equal profiles give equal text, so that a
// compiled filter can be named by its hash.
std::string SerializeSeccomp(const Seccomp& seccomp);

}  // namespace berth::oci

#endif  // OCI_SPEC_SERIALIZE_H_
