// ContainerStreams::Attach: to the first process, running or yet to be.
#include <errno.h>
#include <sys/stat.h>

#include <memory>
#include <optional>
#include <utility>

#include "base/strings.h"
#include "sandbox/container_streams.h"
#include "sandbox/core.h"
#include "sandbox/process/attachment.h"
#include "sandbox/record/files.h"
#include "sandbox/record/phase.h"
#include "sandbox/step.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;
using sandbox::TerminalSize;

class AttachControl : public StreamSession::Control {
 public:
  AttachControl(Core& core, ContainerId id,
                std::shared_ptr<Attachment> attachment)
      : core_(core), id_(std::move(id)), attachment_(std::move(attachment)) {}

  Status Resize(const Context& ctx, TerminalSize size) override {
    ASSIGN_OR_RETURN(const std::shared_ptr<LiveTask> live, Live());
    return StepError(
        live->task().Resize(ctx, shim::TerminalSize{size.width, size.height}),
        "resize container " + id_.str());
  }
  Status Signal(const Context& ctx, int signal) override {
    ASSIGN_OR_RETURN(const std::shared_ptr<LiveTask> live, Live());
    return StepError(live->task().Kill(ctx, signal, false),
                     "signal container " + id_.str());
  }
  // Input of a container stays open for the next one to attach, unless its
  // configuration says once.
  Status CloseStdin(const Context& ctx) override {
    return attachment_->CloseStdin(ctx);
  }
  StatusOr<int> Wait(const Context& ctx) override {
    ASSIGN_OR_RETURN(
        const ContainerStatus ended,
        core_.records.Await(ctx, id_, [](const ContainerRecord& container) {
          return !IsAlive(container.phase()) &&
                 container.phase() != CONTAINER_PHASE_CREATED;
        }));
    return ended->exit_code();
  }
  int pid() const override {
    const ContainerStatus now = core_.inventory.FindContainer(id_);
    return now ? now->pid() : 0;
  }

 private:
  StatusOr<std::shared_ptr<LiveTask>> Live() const {
    std::shared_ptr<LiveTask> live = attachment_->live();
    if (live) return live;
    return FailedPrecondition("container " + id_.str() + ": not running");
  }

  Core& core_;
  const ContainerId id_;
  const std::shared_ptr<Attachment> attachment_;
};

// Where PlanStdio puts the input of the first process.
StatusOr<std::string> StdinFifo(const Core& core, const ContainerId& id) {
  const std::string directory = core.paths.ContainerState(id.str());
  RETURN_IF_ERROR(MakeDirectories(directory, 0700));
  std::string path = directory + "/stdin";
  if (mkfifo(path.c_str(), 0600) != 0 && errno != EEXIST) {
    return Errno(errno, "mkfifo " + Quoted(path));
  }
  return path;
}

bool MayStart(const Core& core, const ContainerRecord& container) {
  if (container.phase() == CONTAINER_PHASE_CREATED) return true;
  const SandboxStatus sandbox =
      core.inventory.FindSandbox(SandboxId(container.sandbox_id()));
  return container.phase() == CONTAINER_PHASE_EXITED && sandbox &&
         sandbox->config().kind() == SANDBOX_KIND_STANDALONE;
}

bool Runs(const ContainerRecord& container) {
  return container.phase() == CONTAINER_PHASE_RUNNING ||
         container.phase() == CONTAINER_PHASE_STOPPING;
}

}  // namespace

StatusOr<StreamSession> ContainerStreams::Attach(const Context& ctx,
                                                 const ContainerId& id,
                                                 bool want_stdin) const {
  Core& core = world_->core();
  const std::string what = "attach to container " + id.str();
  ASSIGN_OR_RETURN(ContainerStatus now, core.records.Find(id, "attach to"));
  // What does not run yet must not begin to before we wait for it; what runs
  // is attached to without waiting for a Stop at work.
  std::optional<KeyedMutex::Lock> lock;
  if (!Runs(*now)) {
    ASSIGN_OR_RETURN_AS(KeyedMutex::Lock taken,
                        core.container_locks.Acquire(ctx, id.str()), what);
    lock.emplace(std::move(taken));
    ASSIGN_OR_RETURN(now, core.records.Find(id, "attach to"));
  }
  const bool runs = Runs(*now);
  if (!runs && !MayStart(core, *now)) {
    return FailedPrecondition(what + ": not running");
  }
  const ContainerConfig& config = now->config();
  std::string input;
  if (want_stdin && config.stdin()) {
    ASSIGN_OR_RETURN(input, StdinFifo(core, id));
  }
  const std::string directory = core.paths.ContainerState(id.str());
  RETURN_IF_ERROR(MakeDirectories(directory, 0700));
  ASSIGN_OR_RETURN_AS(
      const std::shared_ptr<Attachment> attachment,
      Attachment::Make(directory, input, config.tty(), config.stdin_once()),
      what);
  StreamSession session =
      attachment->Take(std::make_shared<AttachControl>(core, id, attachment));
  if (!runs) {
    core.waiting.Add(id, attachment);
    return session;
  }
  const std::shared_ptr<LiveTask> live = core.tasks.Find(id);
  if (!live) return Unavailable(what + ": no shim");
  RETURN_IF_ERROR(StepError(attachment->Join(ctx, live), what));
  return session;
}

}  // namespace berth::sandbox
