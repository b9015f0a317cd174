#include "oci/cgroup/cgroup.h"

namespace berth::oci {
namespace {

Status None(const char* what) {
  return FailedPrecondition(std::string(what) +
                            ": the container has no cgroup of its own");
}

// Where there is nothing to enter, signal or remove.
class NoCgroup : public Cgroup {
 public:
  Status Create(const Resources&) override { return OkStatus(); }
  Status Update(const Resources&) override { return None("set limits"); }
  Status EnterSelf() override { return OkStatus(); }
  int birth_fd() override { return -1; }
  Status Freeze(bool frozen) override {
    return None(frozen ? "pause" : "resume");
  }
  StatusOr<bool> Frozen() const override { return false; }
  Status Signal(int) override { return OkStatus(); }
  StatusOr<std::vector<pid_t>> Pids() const override {
    return None("list processes");
  }
  StatusOr<CgroupStats> Stats() const override {
    return None("read statistics");
  }
  StatusOr<std::unique_ptr<OomWatch>> WatchOom() const override {
    return None("watch for out of memory");
  }
  Status Remove() override { return OkStatus(); }
};

}  // namespace

std::unique_ptr<Cgroup> WithoutCgroup() { return std::make_unique<NoCgroup>(); }

}  // namespace berth::oci
