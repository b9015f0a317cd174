#ifndef OCI_INIT_ID_MAPPING_OPTION_H_
#define OCI_INIT_ID_MAPPING_OPTION_H_

#include <string>

#include "base/status.h"
#include "base/sys/id_mapped.h"
#include "oci/spec/spec.h"

namespace berth::oci {

// What follows "idmap=" in the options of a mount:
// "uids=0-1-10#10-11-10;gids=0-100-10", each the first id of the file system,
// what it is shown as, and how many. "@" before one: it is shown as that id of
// the container's user namespace. Both kinds are needed. INVALID_ARGUMENT.
// Pure. Source: crun(1), "idmap mount options".
StatusOr<IdMaps> ParseIdMapping(const std::string& text, const Linux& linux);

}  // namespace berth::oci

#endif  // OCI_INIT_ID_MAPPING_OPTION_H_
