// Statistics from the files of cgroup v1, and what both versions share.
// Private to this folder.
#ifndef OCI_CGROUP_STATS_V1_H_
#define OCI_CGROUP_STATS_V1_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/status.h"
#include "oci/cgroup/stats.h"

namespace berth::oci {

// `directory_of` a controller; empty if there is none. Pure but for reading.
CgroupStats ReadStatsV1(
    const std::function<std::string(std::string_view controller)>&
        directory_of);

// Limits of huge pages from "<directory>/hugetlb.<size>.<suffix>".
std::map<std::string, HugepageStats> ReadHugepages(
    const std::string& directory, const std::string& usage_suffix,
    const std::string& max_suffix, const std::string& failures_suffix);

// The "oom_kill" line of memory.oom_control or memory.events, as news.
// Thread-compatible.
class OomKills {
 public:
  // Since the last call. NOT_FOUND once the cgroup is gone.
  StatusOr<uint64_t> Update(int fd);

 private:
  uint64_t seen_ = 0;
};

}  // namespace berth::oci

#endif  // OCI_CGROUP_STATS_V1_H_
