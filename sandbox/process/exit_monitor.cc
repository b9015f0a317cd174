#include "sandbox/process/exit_monitor.h"

#include <pthread.h>

#include <deque>
#include <utility>

#include "base/mutex.h"

namespace berth::sandbox {
namespace {

// Room for a handler (it saves a record); most of it is never touched.
constexpr size_t kStackSize = 256 << 10;

}  // namespace

class ExitMonitor::Queue : public std::enable_shared_from_this<Queue> {
 public:
  using Job = std::function<void()>;

  void Push(Job job) {
    MutexLock lock(mutex_);
    if (stopped_) return;
    jobs_.push_back(std::move(job));
    changed_.SignalAll();
  }

  // Gives each job a thread until Stop; without one it is done here.
  void Dispatch() {
    while (true) {
      Job job;
      {
        MutexLock lock(mutex_);
        while (jobs_.empty() && !stopped_) changed_.Wait(mutex_);
        if (stopped_) return;
        job = std::move(jobs_.front());
        jobs_.pop_front();
        ++running_;
      }
      auto* work = new Work{shared_from_this(), std::move(job)};
      if (!StartThread(work)) Run(work);
    }
  }

  void Stop() {
    MutexLock lock(mutex_);
    stopped_ = true;
    jobs_.clear();
    changed_.SignalAll();
  }
  void AwaitIdle() {
    MutexLock lock(mutex_);
    while (running_ > 0) changed_.Wait(mutex_);
  }

 private:
  struct Work {
    std::shared_ptr<Queue> queue;
    Job job;
  };

  static bool StartThread(Work* work) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, kStackSize);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    const int error = pthread_create(&thread, &attributes, &Run, work);
    pthread_attr_destroy(&attributes);
    return error == 0;
  }
  static void* Run(void* argument) {
    const std::unique_ptr<Work> work(static_cast<Work*>(argument));
    work->job();
    work->job = nullptr;  // with all that it holds
    MutexLock lock(work->queue->mutex_);
    --work->queue->running_;
    work->queue->changed_.SignalAll();
    return nullptr;
  }

  Mutex mutex_;
  CondVar changed_;
  std::deque<Job> jobs_ GUARDED_BY(mutex_);
  int running_ GUARDED_BY(mutex_) = 0;
  bool stopped_ GUARDED_BY(mutex_) = false;
};

ExitMonitor::ExitMonitor(ExitHandler on_exit, LossHandler on_loss)
    : on_exit_(std::move(on_exit)),
      on_loss_(std::move(on_loss)),
      queue_(std::make_shared<Queue>()),
      dispatcher_([this] { queue_->Dispatch(); }) {}

ExitMonitor::~ExitMonitor() { Stop(); }

void ExitMonitor::Watch(const ContainerId& id, shim::Task& task) {
  task.WhenExited(
      [this, queue = queue_, id](const StatusOr<shim::ExitStatus>& exit) {
        queue->Push([this, id, exit] { on_exit_(id, exit); });
      });
}

void ExitMonitor::Watch(const SandboxId& id,
                        const std::shared_ptr<shim::Shim>& shim) {
  shim->WhenLost([this, queue = queue_, id,
                  which = std::weak_ptr<shim::Shim>(shim)](const Status& why) {
    queue->Push([this, id, which, why] { on_loss_(id, which, why); });
  });
}

void ExitMonitor::Stop() {
  queue_->Stop();
  if (dispatcher_.joinable()) dispatcher_.join();
  queue_->AwaitIdle();
}

}  // namespace berth::sandbox
