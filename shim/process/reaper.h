#ifndef SHIM_PROCESS_REAPER_H_
#define SHIM_PROCESS_REAPER_H_

#include <sys/types.h>

#include <functional>
#include <map>

#include "base/clock.h"
#include "base/io/event_loop.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::shim {

// Waits for every child, ours and those that the kernel hands to a subreaper,
// and tells whoever watches the pid.
//
// A process may be dead before anyone knows its pid, since runtimes make it
// and tell us afterwards: while somebody holds exits back (Expect), those of
// unwatched pids are kept for a later Watch. Single-threaded.
class Reaper {
 public:
  struct Exit {
    int wait_status = 0;  // wait(2)
    UnixNanos at = 0;
  };
  using Handler = std::function<void(const Exit&)>;

  // Watches SIGCHLD on the loop; the signal stays blocked.
  explicit Reaper(EventLoop& loop) : loop_(loop) {}
  Status Start();

  // One call, at the exit; also if that has been already (then from the loop).
  void Watch(pid_t pid, Handler handler);
  // A child whose pid is not known yet may appear, until Settle.
  void Expect() { ++expected_; }
  void Settle();

 private:
  void Reap();

  EventLoop& loop_;
  UniqueFd signals_;
  int expected_ = 0;
  std::map<pid_t, Handler> handlers_;
  std::map<pid_t, Exit> unclaimed_;
};

}  // namespace berth::shim

#endif  // SHIM_PROCESS_REAPER_H_
