#ifndef OCI_CONTAINER_CREATION_H_
#define OCI_CONTAINER_CREATION_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/undo.h"
#include "base/unique_fd.h"
#include "oci/cgroup/cgroup.h"
#include "oci/container/container.h"
#include "oci/container/state_file.h"
#include "oci/init/birth.h"
#include "oci/init/listener_post.h"
#include "oci/init/mount_plan.h"
#include "oci/init/seccomp.h"
#include "oci/spec/spec.h"

namespace berth::oci {

// One run of create, from config.json to a waiting init: the steps that
// Container::Create goes through, each undone if a later one fails.
//
// Single-threaded; used once.
class Creation {
 public:
  Creation(const std::string& root, const CreateOptions& options)
      : root_(root), options_(options) {}

  // After this the container exists.
  Status Run();

  StateFile& state() { return state_; }
  Spec& spec() { return spec_; }
  std::unique_ptr<Cgroup> TakeCgroup() { return std::move(cgroup_); }
  UniqueFd TakePidfd() { return std::move(born_.pidfd); }
  UniqueFd TakeConsole() { return std::move(born_.console); }
  // The runtime's ends, with start_by_maker.
  UniqueFd TakeStart() { return std::move(say_start_); }
  UniqueFd TakeResult() { return std::move(hear_result_); }
  std::vector<std::string> TakeWarnings() { return std::move(born_.warnings); }

 private:
  Status ReadConfiguration();
  bool IsRootless() const;
  Status AddUserNamespace();
  Status NameCgroup();
  StatusOr<std::string> NameOfCgroup();
  StatusOr<std::unique_ptr<Cgroup>> OpenOwnCgroup() const;
  Status LocateRootfs();
  Status CheckConsole() const;
  Status MakeDirectory();
  Status AddNotifyDirectory();
  Status MakeCgroup();
  Status MakeCgroupAsUser(const Resources& limits);
  Status GoWithoutCgroup(const Resources& limits);
  Status MakeResctrl();
  Status PlanRoot();
  Status MakeChannels();
  Status MakeListenerPost();
  StatusOr<Born> Bear(const InitRequest& request);
  Status BearAndRecord();
  void WarnOfWhatIsLeftOut();
  void RunPoststopHooks() const;
  std::string HookStateFor(const char* status, pid_t pid) const;

  const std::string root_;
  const CreateOptions& options_;
  std::string text_;  // of config.json, read once
  Spec spec_;
  StateFile state_;
  const CgroupHost* host_ = nullptr;
  std::unique_ptr<Cgroup> cgroup_;
  bool may_lack_cgroup_ = false;
  std::vector<std::string> left_out_;  // limits that this machine lacks
  MountPlan mounts_;
  std::vector<UniqueFd> prepared_mounts_;
  SeccompFilter filter_;
  std::optional<ListenerPost> post_;  // if that has a listener
  UniqueFd start_;                    // the init's ends, or both in one
  UniqueFd result_;
  UniqueFd say_start_;
  UniqueFd hear_result_;
  Born born_;
  bool born_once_ = false;
  Undo undo_;  // last member: runs while the others are alive
};

}  // namespace berth::oci

#endif  // OCI_CONTAINER_CREATION_H_
