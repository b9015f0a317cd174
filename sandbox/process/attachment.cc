#include "sandbox/process/attachment.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>

namespace berth::sandbox {

StatusOr<std::shared_ptr<Attachment>> Attachment::Make(
    const std::string& directory, const std::string& stdin_path, bool tty,
    bool closes_stdin) {
  auto made = std::make_shared<Attachment>(directory);
  RETURN_IF_ERROR(made->fifos_.Make(false, true, !tty));
  made->fifos_.stdio().terminal = tty;
  made->tty_ = tty;
  made->closes_stdin_ = closes_stdin;
  if (stdin_path.empty()) return made;
  // The process's own input rather than one beside it: so the end of the
  // input comes after all of it.
  MutexLock lock(made->mutex_);
  ASSIGN_OR_RETURN(made->keeper_, OpenFifoEnd(stdin_path, O_RDWR));
  ASSIGN_OR_RETURN(UniqueFd in, OpenFifoEnd(stdin_path, O_WRONLY));
  made->fifos_.set_in(std::move(in));
  return made;
}

StreamSession Attachment::Take(
    std::shared_ptr<StreamSession::Control> control) {
  return fifos_.Take(tty_, std::move(control));
}

Status Attachment::Join(const Context& ctx, std::shared_ptr<LiveTask> live) {
  RETURN_IF_ERROR(live->task().Attach(ctx, fifos_.stdio()));
  fifos_.Opened();
  bool close = false;
  {
    MutexLock lock(mutex_);
    live_ = live;
    keeper_.reset();
    close = close_at_join_;
  }
  return close ? live->task().CloseStdin(ctx) : OkStatus();
}

void Attachment::Abandon() {
  fifos_.Abandon();
  MutexLock lock(mutex_);
  keeper_.reset();
}

Status Attachment::CloseStdin(const Context& ctx) {
  if (!closes_stdin_) return OkStatus();
  std::shared_ptr<LiveTask> live;
  {
    MutexLock lock(mutex_);
    live = live_;
    if (!live) close_at_join_ = true;
  }
  return live ? live->task().CloseStdin(ctx) : OkStatus();
}

std::shared_ptr<LiveTask> Attachment::live() const {
  MutexLock lock(mutex_);
  return live_;
}

void WaitingAttachments::Add(const ContainerId& id,
                             const std::shared_ptr<Attachment>& attachment) {
  MutexLock lock(mutex_);
  auto& all = waiting_[id];
  std::erase_if(all, [](const auto& one) { return one.expired(); });
  all.push_back(attachment);
}

bool WaitingAttachments::Any(const ContainerId& id) {
  MutexLock lock(mutex_);
  const auto found = waiting_.find(id);
  return found != waiting_.end() &&
         std::any_of(found->second.begin(), found->second.end(),
                     [](const auto& one) { return !one.expired(); });
}

std::vector<std::shared_ptr<Attachment>> WaitingAttachments::Take(
    const ContainerId& id) {
  MutexLock lock(mutex_);
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return {};
  std::vector<std::shared_ptr<Attachment>> taken;
  for (const auto& one : found->second) {
    if (auto attachment = one.lock()) taken.push_back(std::move(attachment));
  }
  waiting_.erase(found);
  return taken;
}

void WaitingAttachments::Abandon(const ContainerId& id) {
  for (const std::shared_ptr<Attachment>& attachment : Take(id)) {
    attachment->Abandon();
  }
}

}  // namespace berth::sandbox
