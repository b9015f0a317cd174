#ifndef OCI_SPEC_MERGE_H_
#define OCI_SPEC_MERGE_H_

#include "oci/spec/resources.h"

namespace berth::oci {

// What is in force after `update` of `old` with `changes`: all that these
// leave unset stays. Lists are merged by device, page size or name; device
// rules are replaced as a whole. Pure.
Resources MergeResources(const Resources& old, const Resources& changes);

}  // namespace berth::oci

#endif  // OCI_SPEC_MERGE_H_
