// Statistics from the files of cgroup v2. Private to this folder.
#ifndef OCI_CGROUP_STATS_V2_H_
#define OCI_CGROUP_STATS_V2_H_

#include <string>

#include "oci/cgroup/stats.h"

namespace berth::oci {

CgroupStats ReadStatsV2(const std::string& directory);

}  // namespace berth::oci

#endif  // OCI_CGROUP_STATS_V2_H_
