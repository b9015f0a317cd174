// Which ids a caller may give to a user namespace of its own.
#ifndef OCI_INIT_OWN_IDS_H_
#define OCI_INIT_OWN_IDS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "oci/spec/spec.h"

namespace berth::oci {

// Ids of the host, one after the other.
struct IdSpan {
  uint32_t first = 0;
  uint32_t count = 0;

  bool operator==(const IdSpan&) const = default;
};

// The lines of a user, by name or number, in a file like /etc/subuid; those
// that are not well-formed are passed over. Pure. Source: subuid(5).
std::vector<IdSpan> SubordinateIds(std::string_view text, std::string_view name,
                                   uint32_t id);

// `own` as `inside`, and `others` around it from 0 on. Pure.
std::vector<IdMapping> MapAround(uint32_t inside, uint32_t own,
                                 const std::vector<IdSpan>& others);

// Each id of /proc/self/uid_map or its like as itself. Pure.
std::vector<IdMapping> MapToThemselves(std::string_view own_map);

// What crun gives a new user namespace without mappings: root's has all ids
// that root itself has, each as itself; anybody else's has the caller as the
// process' user, and the subordinate ids of the caller, if there are any,
// around that.
Status FillIdMappings(const User& user, Linux& linux);

}  // namespace berth::oci

#endif  // OCI_INIT_OWN_IDS_H_
