#include "base/io/event_loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <limits>
#include <string>

namespace berth {
namespace {

uint64_t KeyOf(int fd, uint32_t generation) {
  return static_cast<uint64_t>(generation) << 32 | static_cast<uint32_t>(fd);
}

}  // namespace

StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return Errno(errno, "epoll_create1");
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll)));
}

Status EventLoop::Control(int operation, int fd, uint32_t events,
                          uint32_t generation) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = KeyOf(fd, generation);
  if (epoll_ctl(epoll_.get(), operation, fd, &event) != 0) {
    return Errno(errno, "epoll_ctl on fd " + std::to_string(fd));
  }
  return OkStatus();
}

Status EventLoop::Add(int fd, uint32_t events, Handler handler) {
  const uint32_t generation = ++generation_;
  RETURN_IF_ERROR(Control(EPOLL_CTL_ADD, fd, events, generation));
  watches_[fd] = std::make_shared<Watch>(Watch{generation, std::move(handler)});
  return OkStatus();
}

Status EventLoop::Modify(int fd, uint32_t events) {
  const auto watch = watches_.find(fd);
  if (watch == watches_.end()) {
    return NotFound("fd " + std::to_string(fd) + " is not watched");
  }
  return Control(EPOLL_CTL_MOD, fd, events, watch->second->generation);
}

void EventLoop::Remove(int fd) {
  if (watches_.erase(fd) == 0) return;
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

EventLoop::TimerId EventLoop::After(Duration delay, Action action) {
  const TimerId id = ++last_timer_;
  const SteadyTime now = std::chrono::steady_clock::now();
  const SteadyTime due =
      delay < SteadyTime::max() - now ? now + delay : SteadyTime::max();
  timers_.emplace(std::make_pair(due, id), std::move(action));
  due_.emplace(id, due);
  return id;
}

void EventLoop::CancelTimer(TimerId timer) {
  const auto due = due_.find(timer);
  if (due == due_.end()) return;
  timers_.erase({due->second, timer});
  due_.erase(due);
}

void EventLoop::Defer(Action action) { deferred_.push_back(std::move(action)); }

int EventLoop::WaitMillis() const {
  if (stopped_ || !deferred_.empty()) return 0;
  if (timers_.empty()) return -1;
  const Duration left =
      timers_.begin()->first.first - std::chrono::steady_clock::now();
  // Rounded up, lest the loop spin through the last millisecond.
  const auto millis =
      std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(
      std::clamp<int64_t>(millis, 0, std::numeric_limits<int>::max()));
}

void EventLoop::Dispatch(uint64_t key, uint32_t events) {
  const auto found = watches_.find(static_cast<int>(key & 0xffffffffu));
  if (found == watches_.end()) return;
  const std::shared_ptr<Watch> watch = found->second;  // may remove itself
  if (watch->generation == key >> 32) watch->handler(events);
}

void EventLoop::RunTimers() {
  if (timers_.empty()) return;
  const SteadyTime now = std::chrono::steady_clock::now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    const Action action = std::move(timers_.begin()->second);
    due_.erase(timers_.begin()->first.second);
    timers_.erase(timers_.begin());
    action();
  }
}

void EventLoop::RunDeferred() {
  const std::vector<Action> actions = std::exchange(deferred_, {});
  for (const Action& action : actions) action();
}

Status EventLoop::Run() {
  stopped_ = false;
  epoll_event events[16];
  while (true) {
    const int count = epoll_wait(epoll_.get(), events, 16, WaitMillis());
    if (count < 0 && errno != EINTR) return Errno(errno, "epoll_wait");
    for (int i = 0; i < count; ++i) {
      Dispatch(events[i].data.u64, events[i].events);
    }
    RunTimers();
    RunDeferred();
    if (stopped_) return OkStatus();
  }
}

StatusOr<UniqueFd> OpenSignalFd(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  if (sigprocmask(SIG_BLOCK, &set, nullptr) != 0) {
    return Errno(errno, "sigprocmask");
  }
  UniqueFd fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return Errno(errno, "signalfd");
  return fd;
}

}  // namespace berth
