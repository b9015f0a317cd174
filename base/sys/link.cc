#include "base/sys/link.h"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/strings.h"
#include "base/thread.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

// A socket belongs for ever to the namespace that its maker was in. A thread
// that lives for this alone is the only way to make one elsewhere without
// moving a thread that others use.
StatusOr<UniqueFd> SocketIn(int netns) {
  Status status = OkStatus();
  UniqueFd made;
  const auto visit = [&] {
    if (setns(netns, CLONE_NEWNET) != 0) {
      status = Errno(errno, "enter a network namespace");
      return;
    }
    made.reset(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!made.valid()) status = Errno(errno, "make a socket");
  };
  ASSIGN_OR_RETURN(Thread visitor, StartThread("netns", visit));
  visitor.Join();
  RETURN_IF_ERROR(status);
  return made;
}

}  // namespace

Status SetLinkUp(int netns, const std::string& name) {
  ifreq request = {};
  if (name.size() >= sizeof(request.ifr_name)) {
    return InvalidArgument("link name " + Quoted(name) + " is too long");
  }
  memcpy(request.ifr_name, name.data(), name.size());
  ASSIGN_OR_RETURN(const UniqueFd control, SocketIn(netns));
  const std::string what = "set link " + Quoted(name) + " up";
  if (ioctl(control.get(), SIOCGIFFLAGS, &request) != 0) {
    return errno == ENODEV ? NotFound(what + ": no such link")
                           : Errno(errno, what);
  }
  if ((request.ifr_flags & IFF_UP) != 0) return OkStatus();
  request.ifr_flags |= IFF_UP;
  if (ioctl(control.get(), SIOCSIFFLAGS, &request) != 0) {
    return Errno(errno, what);
  }
  return OkStatus();
}

}  // namespace berth
