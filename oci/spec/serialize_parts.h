// The parts of serialize.h, a file for each: private to this library.
#ifndef OCI_SPEC_SERIALIZE_PARTS_H_
#define OCI_SPEC_SERIALIZE_PARTS_H_

#include "oci/spec/json_writer.h"
#include "oci/spec/spec.h"

namespace berth::oci {

void WriteResources(JsonWriter& writer, const Resources& resources);
void WriteLinux(JsonWriter& writer, const Linux& linux);
void WriteSeccomp(JsonWriter& writer, const Seccomp& seccomp);
// Each with its key, and only if it is there.
void WriteScheduling(JsonWriter& writer, const ProcessSpec& process);
void WriteMemoryPolicy(JsonWriter& writer, const Linux& linux);
void WriteIdMapping(JsonWriter& writer, const IdMapping& mapping);

}  // namespace berth::oci

#endif  // OCI_SPEC_SERIALIZE_PARTS_H_
