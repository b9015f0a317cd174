#ifndef BASE_IO_EVENT_LOOP_H_
#define BASE_IO_EVENT_LOOP_H_

#include <csignal>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace berth {

// One thread that waits on many descriptors: epoll(7), timers, and work put
// off to the next turn.
//
// Handlers may add and remove anything, themselves included; a handler whose
// watch was removed is not called again, even if its event was already
// fetched or its descriptor number is in use anew. Single-threaded.
class EventLoop {
 public:
  // EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR.
  using Handler = std::function<void(uint32_t events)>;
  using Action = std::function<void()>;
  using TimerId = uint64_t;  // never 0

  static StatusOr<std::unique_ptr<EventLoop>> Create();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Level-triggered, unless `events` has EPOLLET: then Modify tells once more
  // what is the case. The descriptor stays the caller's, who removes it before
  // closing. Regular files cannot be watched (epoll_ctl(2): EPERM).
  Status Add(int fd, uint32_t events, Handler handler);
  Status Modify(int fd, uint32_t events);
  void Remove(int fd);  // no-op if not watched

  TimerId After(Duration delay, Action action);
  void CancelTimer(TimerId timer);  // no-op if it has run

  // Runs after the handlers of this turn, before the next wait.
  void Defer(Action action);

  // Until Stop. Only a broken epoll descriptor makes it an error.
  Status Run();
  void Stop() { stopped_ = true; }

 private:
  struct Watch {
    uint32_t generation;
    Handler handler;
  };

  explicit EventLoop(UniqueFd epoll) : epoll_(std::move(epoll)) {}
  Status Control(int operation, int fd, uint32_t events, uint32_t generation);
  int WaitMillis() const;
  void Dispatch(uint64_t key, uint32_t events);
  void RunTimers();
  void RunDeferred();

  UniqueFd epoll_;
  bool stopped_ = false;
  uint32_t generation_ = 0;
  TimerId last_timer_ = 0;
  std::map<int, std::shared_ptr<Watch>> watches_;
  std::map<std::pair<SteadyTime, TimerId>, Action> timers_;
  std::map<TimerId, SteadyTime> due_;
  std::vector<Action> deferred_;
};

// Blocks the signals for this thread and answers a descriptor that delivers
// them (signalfd(2)), non-blocking.
StatusOr<UniqueFd> OpenSignalFd(std::initializer_list<int> signals);

}  // namespace berth

#endif  // BASE_IO_EVENT_LOOP_H_
