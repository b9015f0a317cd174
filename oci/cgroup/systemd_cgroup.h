// A cgroup that is a transient scope of systemd's. See Cgroup for the contract.
#ifndef OCI_CGROUP_SYSTEMD_CGROUP_H_
#define OCI_CGROUP_SYSTEMD_CGROUP_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "oci/cgroup/cgroup.h"
#include "oci/cgroup/limits.h"
#include "oci/systemd/systemd_manager.h"

namespace berth::oci {

// A process that does nothing, so that a scope has one. Dies with its maker's
// thread, and with this object, which reaps it. Single-threaded.
class PlaceHolder {
 public:
  PlaceHolder() = default;
  ~PlaceHolder() { End(); }
  PlaceHolder(const PlaceHolder&) = delete;
  PlaceHolder& operator=(const PlaceHolder&) = delete;

  StatusOr<pid_t> Begin();
  void End();

 private:
  UniqueFd pidfd_;
};

// systemd makes the directories and is told of the limits, so that it writes
// them again when it is reloaded; Delegate=yes leaves all else to us: exact
// values, files that it has no word for, the device filter, freezing, killing.
class SystemdCgroup : public Cgroup {
 public:
  // `files`: the same directories without systemd.
  SystemdCgroup(CgroupVersion version, const std::string& path,
                std::unique_ptr<Cgroup> files, ScopeOptions options);

  Status Create(const Resources& limits) override;
  Status Update(const Resources& limits) override;
  Status EnterSelf() override { return files_->EnterSelf(); }
  int birth_fd() override { return files_->birth_fd(); }
  void Settle() override { holder_.End(); }
  Status Freeze(bool frozen) override { return files_->Freeze(frozen); }
  StatusOr<bool> Frozen() const override { return files_->Frozen(); }
  Status Signal(int signal) override { return files_->Signal(signal); }
  StatusOr<std::vector<pid_t>> Pids() const override { return files_->Pids(); }
  StatusOr<CgroupStats> Stats() const override { return files_->Stats(); }
  StatusOr<std::unique_ptr<OomWatch>> WatchOom() const override {
    return files_->WatchOom();
  }
  Status Remove() override;

 private:
  // INVALID_ARGUMENT for what this version of cgroups cannot say.
  StatusOr<std::vector<UnitProperty>> PropertiesOf(
      const Resources& limits) const;
  std::vector<UnitProperty> ScopeProperties(pid_t first) const;
  // Makes the unit, without what this version of systemd does not know.
  Status Start(std::vector<UnitProperty> properties);
  Status CheckPlace(pid_t first) const;
  Resources WithWholeQuota(const Resources& limits) const;

  const CgroupVersion version_;
  const std::string unit_;
  const std::string slice_;
  const std::unique_ptr<Cgroup> files_;
  const ScopeOptions options_;
  SystemdManager manager_;
  PlaceHolder holder_;
};

}  // namespace berth::oci

#endif  // OCI_CGROUP_SYSTEMD_CGROUP_H_
