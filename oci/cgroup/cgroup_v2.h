// A cgroup in the one tree of version 2. See Cgroup for the contract.
#ifndef OCI_CGROUP_CGROUP_V2_H_
#define OCI_CGROUP_CGROUP_V2_H_

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "oci/cgroup/cgroup.h"
#include "oci/cgroup/limits.h"

namespace berth::oci {

class CgroupV2 : public Cgroup {
 public:
  // `tree` is the mounted v2 hierarchy.
  CgroupV2(CgroupHierarchy tree, std::string path);

  Status Create(const Resources& limits) override;
  Status Update(const Resources& limits) override;
  Status EnterSelf() override;
  int birth_fd() override;
  Status Freeze(bool frozen) override;
  StatusOr<bool> Frozen() const override;
  Status Signal(int signal) override;
  StatusOr<std::vector<pid_t>> Pids() const override;
  StatusOr<CgroupStats> Stats() const override;
  StatusOr<std::unique_ptr<OomWatch>> WatchOom() const override;
  Status Remove() override;

 private:
  std::string File(std::string_view name) const;
  bool Offered(const std::string& controller) const;
  Status MakeDirectories() const;
  // Turns controllers on for us in every directory above that has not yet.
  Status EnableControllers(const std::set<std::string>& required) const;
  Status EnableIn(const std::string& directory,
                  const std::set<std::string>& wanted,
                  const std::set<std::string>& required) const;
  Status CheckUnused() const;
  // With the period's companion read from the kernel where it is missing.
  StatusOr<std::vector<LimitWrite>> WritesFor(const Resources& limits) const;
  Status WriteLimits(const Resources& limits,
                     const std::vector<LimitWrite>& writes);
  Status CheckMemoryInUse(const MemoryLimits& memory) const;

  const CgroupHierarchy tree_;
  const std::string path_;
  const std::string directory_;
  UniqueFd fd_;  // of the directory, once asked for
};

}  // namespace berth::oci

#endif  // OCI_CGROUP_CGROUP_V2_H_
