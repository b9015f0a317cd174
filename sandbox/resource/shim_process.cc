#include "sandbox/resource/shim_process.h"

#include <glog/logging.h>
#include <unistd.h>

#include <utility>

#include "base/failpoint.h"
#include "base/strings.h"
#include "sandbox/record/files.h"
#include "sandbox/resource/name_files.h"

namespace berth::sandbox {
namespace {

using ::berth::state::v1::SandboxRecord;

constexpr std::chrono::seconds kShutdownTime{5};
constexpr std::chrono::seconds kDestroyTime{30};
// What a socket's path leaves for its directory (shim/shim.h).
constexpr size_t kMaxShimDirectory = 90;

bool SharesPids(const SandboxRecord& sandbox) {
  return sandbox.config().namespaces().pid() == state::v1::NAMESPACE_MODE_POD;
}

}  // namespace

std::shared_ptr<shim::Shim> ShimTable::Find(
    const std::string& sandbox_id) const {
  MutexLock lock(mutex_);
  const auto it = shims_.find(sandbox_id);
  return it == shims_.end() ? nullptr : it->second;
}

void ShimTable::Put(const std::string& sandbox_id,
                    std::shared_ptr<shim::Shim> shim) {
  const std::shared_ptr<shim::Shim> added = shim;
  {
    MutexLock lock(mutex_);
    shims_[sandbox_id] = std::move(shim);
  }
  if (listener_) listener_(sandbox_id, added);
}

void ShimTable::Erase(const std::string& sandbox_id) {
  std::shared_ptr<shim::Shim> last;  // destroyed outside of the lock
  MutexLock lock(mutex_);
  const auto it = shims_.find(sandbox_id);
  if (it == shims_.end()) return;
  last = std::move(it->second);
  shims_.erase(it);
}

StatusOr<shim::SandboxShim> ShimProcess::Describe(
    const SandboxRecord& sandbox) const {
  const std::string& handler = sandbox.config().runtime_handler();
  const auto it = settings_.runtimes.find(handler);
  if (it == settings_.runtimes.end()) {
    return InvalidArgument("runtime handler " + Quoted(handler) +
                           ": not configured");
  }
  return DescribeAs(it->second, sandbox);
}

// To find and to end a shim that runs little is needed of its handler, which
// may not be configured any more.
StatusOr<shim::SandboxShim> ShimProcess::DescribeRunning(
    const SandboxRecord& sandbox) const {
  StatusOr<shim::SandboxShim> described = Describe(sandbox);
  const auto ours = settings_.runtimes.find("");
  if (described.ok() || ours == settings_.runtimes.end()) return described;
  LOG(WARNING) << "sandbox " << sandbox.id() << ": "
               << Message(described.status());
  shim::SandboxShim shim = DescribeAs(ours->second, sandbox);
  const std::string foreign = shim.state_dir + "/foreign";
  if (access(foreign.c_str(), F_OK) == 0) shim.helper = shim.binary;
  return shim;
}

shim::SandboxShim ShimProcess::DescribeAs(const Runtime& runtime,
                                          const SandboxRecord& sandbox) const {
  shim::SandboxShim shim;
  shim.id = sandbox.id();
  shim.state_dir = paths_.SandboxState(sandbox.id()) + "/shim";
  if (shim.state_dir.size() > kMaxShimDirectory) {
    shim.state_dir = paths_.state + "/shims/" + sandbox.id().substr(0, 24);
  }
  shim.binary = runtime.shim;
  shim.helper = runtime.helper;
  shim.runtime_program = runtime.program;
  shim.runtime_root = paths_.OciDirectory();
  shim.systemd_cgroup = sandbox.cgroup().systemd();
  // Away from the daemon's own unit, which may be restarted without it.
  if (shim.systemd_cgroup) {
    shim.cgroup = "berth-shims.slice:berth-shim:" + sandbox.id();
  }
  const auto& annotations = sandbox.config().annotations();
  shim.annotations.insert(annotations.begin(), annotations.end());
  // Ours to say; never the pod's own annotations of those names.
  shim.annotations.erase("berth.pid-namespace");
  shim.annotations.erase("berth.user-namespace");
  if (SharesPids(sandbox)) shim.annotations["berth.pid-namespace"] = "pod";
  if (const std::string& user = sandbox.namespaces().user(); !user.empty()) {
    shim.annotations["berth.user-namespace"] = user;
  }
  // Asked for by every sandbox that may be given names while it runs.
  shim.annotations.erase("berth.names");
  if (sandbox.config().kind() == state::v1::SANDBOX_KIND_STANDALONE &&
      sandbox.config().namespaces().network() ==
          state::v1::NAMESPACE_MODE_POD) {
    shim.annotations["berth.names"] = NamesPath(paths_, sandbox.id());
  }
  shim.netns_path = sandbox.namespaces().network();
  return shim;
}

Status ShimProcess::Acquire(const Context& ctx, SandboxRecord& sandbox) {
  ASSIGN_OR_RETURN(const shim::SandboxShim describe, Describe(sandbox));
  auto& state = *sandbox.mutable_shim();
  state.set_launching(true);
  state.set_bundle(describe.state_dir);
  RETURN_IF_ERROR(MakeDirectories(describe.state_dir, 0700));
  ASSIGN_OR_RETURN(std::shared_ptr<shim::Shim> shim,
                   launcher_.Launch(ctx, describe));
  if (SharesPids(sandbox)) {
    const pid_t pid = shim->sandbox_pid();
    if (pid <= 0) {
      return Unimplemented("namespaces.pid: the shim " +
                           Quoted(describe.binary) +
                           " makes no pid namespace for a pod");
    }
    sandbox.set_pod_pid(pid);
    sandbox.mutable_namespaces()->set_pid("/proc/" + std::to_string(pid) +
                                          "/ns/pid");
  }
  table_.Put(sandbox.id(), std::move(shim));
  return Failpoint("sandbox.start.shim");
}

Status ShimProcess::Recover(const Context& ctx, SandboxRecord& sandbox) {
  ASSIGN_OR_RETURN(const shim::SandboxShim describe, DescribeRunning(sandbox));
  ASSIGN_OR_RETURN(std::shared_ptr<shim::Shim> shim,
                   launcher_.Reconnect(ctx, describe));
  if (SharesPids(sandbox) && shim->sandbox_pid() <= 0) {
    return Unavailable("pid 1 of the sandbox has exited");
  }
  table_.Put(sandbox.id(), std::move(shim));
  return OkStatus();
}

Status ShimProcess::Release(const Context& ctx, const SandboxRecord& sandbox) {
  const auto shim = table_.Find(sandbox.id());
  ASSIGN_OR_RETURN(const shim::SandboxShim describe, DescribeRunning(sandbox));
  if (shim) {
    // The quick way; a shim that will not go is killed below.
    const Status gone = shim->Shutdown(ctx.WithTimeout(kShutdownTime));
    table_.Erase(sandbox.id());
    if (gone.ok()) {
      RETURN_IF_ERROR(RemoveTree(describe.state_dir));
      return Failpoint("sandbox.stop.shim");
    }
  }
  RETURN_IF_ERROR(launcher_.Destroy(ctx.WithTimeout(kDestroyTime), describe));
  RETURN_IF_ERROR(RemoveTree(describe.state_dir));
  return Failpoint("sandbox.stop.shim");
}

}  // namespace berth::sandbox
