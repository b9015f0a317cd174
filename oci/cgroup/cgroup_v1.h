// A cgroup in the hierarchies of version 1: a directory of the same name in
// each. See Cgroup for the contract.
#ifndef OCI_CGROUP_CGROUP_V1_H_
#define OCI_CGROUP_CGROUP_V1_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "oci/cgroup/cgroup.h"
#include "oci/cgroup/limits.h"

namespace berth::oci {

class CgroupV1 : public Cgroup {
 public:
  CgroupV1(CgroupHost host, std::string path);

  Status Create(const Resources& limits) override;
  Status Update(const Resources& limits) override;
  Status EnterSelf() override;
  int birth_fd() override { return -1; }
  Status Freeze(bool frozen) override;
  StatusOr<bool> Frozen() const override;
  Status Signal(int signal) override;
  StatusOr<std::vector<pid_t>> Pids() const override;
  StatusOr<CgroupStats> Stats() const override;
  StatusOr<std::unique_ptr<OomWatch>> WatchOom() const override;
  Status Remove() override;

 private:
  std::string DirectoryOf(const CgroupHierarchy& hierarchy) const;
  // Empty if the machine has no such controller.
  std::string DirectoryOf(std::string_view controller) const;
  std::vector<const CgroupHierarchy*> NeededFor(
      const std::vector<LimitWrite>& writes) const;
  // True if it was made here.
  StatusOr<bool> MakeDirectory(const CgroupHierarchy& hierarchy) const;
  // Makes a hierarchy's directory late and moves all processes into it.
  Status JoinLate(const CgroupHierarchy& hierarchy);
  Status CheckUnused(const CgroupHierarchy& hierarchy) const;
  Status WriteLimits(const Resources& limits,
                     const std::vector<LimitWrite>& writes) const;
  Status Thaw() const;

  const CgroupHost host_;
  const std::string path_;
  // The `tasks` file of every hierarchy, for EnterSelf.
  std::vector<std::string> tasks_;
};

}  // namespace berth::oci

#endif  // OCI_CGROUP_CGROUP_V1_H_
