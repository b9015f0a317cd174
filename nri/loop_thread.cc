#include "nri/loop_thread.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <utility>

namespace berth::nri {

StatusOr<std::unique_ptr<LoopThread>> LoopThread::Start() {
  ASSIGN_OR_RETURN(std::unique_ptr<EventLoop> loop, EventLoop::Create());
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return Errno(errno, "eventfd");
  auto self = std::unique_ptr<LoopThread>(
      new LoopThread(std::move(loop), std::move(wake)));
  RETURN_IF_ERROR(
      self->loop_->Add(self->wake_.get(), EPOLLIN,
                       [it = self.get()](uint32_t) { it->TakeWork(); }));
  ASSIGN_OR_RETURN(self->thread_, StartThread("nri", [it = self.get()] {
                     it->loop_->Run().IgnoreError();
                   }));
  return self;
}

LoopThread::LoopThread(std::unique_ptr<EventLoop> loop, UniqueFd wake)
    : loop_(std::move(loop)), wake_(std::move(wake)) {}

LoopThread::~LoopThread() {
  Do([](EventLoop& loop) { loop.Stop(); });
  thread_.Join();
}

void LoopThread::Do(Work work) {
  {
    MutexLock lock(mutex_);
    work_.push_back(std::move(work));
  }
  eventfd_write(wake_.get(), 1);
}

void LoopThread::TakeWork() {
  eventfd_t count = 0;
  eventfd_read(wake_.get(), &count);
  std::vector<Work> work;
  {
    MutexLock lock(mutex_);
    work.swap(work_);
  }
  for (const Work& one : work) one(*loop_);
}

}  // namespace berth::nri
