// Resources as the file writes that set them. Pure.
#ifndef OCI_CGROUP_LIMITS_H_
#define OCI_CGROUP_LIMITS_H_

#include <string>
#include <vector>

#include "base/status.h"
#include "oci/spec/resources.h"

namespace berth::oci {

struct LimitWrite {
  std::string controller;  // "memory": which hierarchy (v1), or must be on (v2)
  std::string file;        // "memory.limit_in_bytes"
  std::string value;
  // Nothing is lost where the kernel has no such file.
  bool optional = false;
  // What to write where the kernel has no such file but this one.
  std::string other_file = {};
  std::string other_value = {};
  // Two files check each other, and which must go first depends on what is in
  // them: on EINVAL write the next one, then this again.
  bool swap_on_einval = false;

  bool operator==(const LimitWrite&) const = default;
};

// In the order in which they must be made. INVALID_ARGUMENT for what cannot
// be said in this version ("unified" on v1, realtime on v2). Device rules are
// not among them.
StatusOr<std::vector<LimitWrite>> LimitsV1(const Resources& resources);
StatusOr<std::vector<LimitWrite>> LimitsV2(const Resources& resources);

// Fields of linux.resources that v2 has nothing for, and that LimitsV2 leaves
// out as runc does: advice to the kernel, which is worth a warning.
std::vector<std::string> LeftOutOnV2(const Resources& resources);

// cpu.weight for cpu.shares, so that 1024 shares are weight 100.
uint64_t CpuWeight(uint64_t shares);

}  // namespace berth::oci

#endif  // OCI_CGROUP_LIMITS_H_
