#include "sandbox/task/exit_monitor.h"

#include <pthread.h>

#include <utility>

namespace berth::sandbox {
namespace {

// Room for the handler (it saves a record); most of it is never touched.
constexpr size_t kStackSize = 256 << 10;

}  // namespace

struct ExitMonitor::Watcher {
  ExitMonitor* monitor;
  ContainerId id;
  std::shared_ptr<LiveTask> task;
};

ExitMonitor::ExitMonitor(Handler handler)
    : handler_(std::move(handler)),
      context_(Context::Background("exit-monitor").WithCancel()) {}

ExitMonitor::~ExitMonitor() { Stop(); }

Status ExitMonitor::Watch(const ContainerId& id,
                          std::shared_ptr<LiveTask> task) {
  {
    MutexLock lock(mutex_);
    if (stopped_) return Cancelled("watch container " + id.str());
    ++running_;
  }
  auto watcher = std::make_unique<Watcher>(Watcher{this, id, std::move(task)});
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackSize);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  const int error = pthread_create(&thread, &attributes, &Run, watcher.get());
  pthread_attr_destroy(&attributes);
  if (error != 0) {
    MutexLock lock(mutex_);
    --running_;
    return Errno(error, "make a thread to watch container " + id.str());
  }
  watcher.release();  // Run owns it
  return OkStatus();
}

void* ExitMonitor::Run(void* argument) {
  std::unique_ptr<Watcher> watcher(static_cast<Watcher*>(argument));
  ExitMonitor& monitor = *watcher->monitor;
  const StatusOr<shim::ExitStatus> exit =
      watcher->task->task().Wait(monitor.context_);
  if (!monitor.context_.cancelled()) {
    monitor.handler_(watcher->id, exit);
  }
  watcher.reset();
  MutexLock lock(monitor.mutex_);
  --monitor.running_;
  monitor.idle_.SignalAll();
  return nullptr;
}

void ExitMonitor::Stop() {
  context_.Cancel();
  MutexLock lock(mutex_);
  stopped_ = true;
  while (running_ > 0) idle_.Wait(mutex_);
}

}  // namespace berth::sandbox
