#include "base/sys/route.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/strings.h"
#include "base/thread.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

// More than a namespace of ours ever has.
constexpr int kMaxRoutes = 64;

// A socket stays in the namespace that it was made in.
StatusOr<UniqueFd> SocketIn(int netns, bool v6) {
  UniqueFd made;
  Status status = OkStatus();
  ASSIGN_OR_RETURN(Thread visitor, StartThread("netns", [&] {
                     if (setns(netns, CLONE_NEWNET) != 0) {
                       status = Errno(errno, "enter a network namespace");
                       return;
                     }
                     made.reset(socket(v6 ? AF_INET6 : AF_INET,
                                       SOCK_DGRAM | SOCK_CLOEXEC, 0));
                     if (!made.valid()) status = Errno(errno, "make a socket");
                   }));
  visitor.Join();
  RETURN_IF_ERROR(status);
  return made;
}

void SetAddress(sockaddr& to, in_addr address) {
  auto& inet = reinterpret_cast<sockaddr_in&>(to);
  inet.sin_family = AF_INET;
  inet.sin_addr = address;
}

rtentry DefaultV4() {
  rtentry route = {};
  for (sockaddr* part : {&route.rt_dst, &route.rt_genmask, &route.rt_gateway}) {
    SetAddress(*part, in_addr{});
  }
  route.rt_flags = RTF_UP;
  return route;
}

Status Clear(int control, bool v6) {
  rtentry v4_route = DefaultV4();
  in6_rtmsg v6_route = {};
  for (int i = 0; i < kMaxRoutes; ++i) {
    const int done = v6 ? ioctl(control, SIOCDELRT, &v6_route)
                        : ioctl(control, SIOCDELRT, &v4_route);
    // IPv6 finds its own null route (ip6_fib.c, fib6_del: ENOENT).
    if (done != 0 && (errno == ESRCH || errno == ENOENT)) return OkStatus();
    if (done != 0) return Errno(errno, "remove a default route");
  }
  return Internal("remove default routes: there are always more");
}

}  // namespace

Status ClearDefaultRoutes(int netns, bool v6) {
  ASSIGN_OR_RETURN(const UniqueFd control, SocketIn(netns, v6));
  return Clear(control.get(), v6);
}

Status SetDefaultRoute(int netns, const std::string& gateway,
                       const std::string& interface) {
  const std::string what =
      "set the default route to " + gateway + " by " + Quoted(interface);
  const bool v6 = gateway.find(':') != std::string::npos;
  in_addr four = {};
  in6_addr six = {};
  if (inet_pton(v6 ? AF_INET6 : AF_INET, gateway.c_str(),
                v6 ? static_cast<void*>(&six) : &four) != 1) {
    return InvalidArgument(what + ": no address");
  }
  ASSIGN_OR_RETURN_AS(const UniqueFd control, SocketIn(netns, v6), what);
  ifreq link = {};
  if (interface.size() >= sizeof(link.ifr_name)) {
    return InvalidArgument(what + ": the name is too long");
  }
  interface.copy(link.ifr_name, interface.size());
  if (ioctl(control.get(), SIOCGIFINDEX, &link) != 0) {
    return errno == ENODEV ? NotFound(what + ": no such link")
                           : Errno(errno, what);
  }
  RETURN_IF_ERROR_AS(Clear(control.get(), v6), what);
  int done = 0;
  if (v6) {
    in6_rtmsg route = {};
    route.rtmsg_gateway = six;
    route.rtmsg_flags = RTF_UP | RTF_GATEWAY;
    route.rtmsg_metric = 1024;
    route.rtmsg_ifindex = link.ifr_ifindex;
    done = ioctl(control.get(), SIOCADDRT, &route);
  } else {
    rtentry route = DefaultV4();
    SetAddress(route.rt_gateway, four);
    route.rt_flags |= RTF_GATEWAY;
    route.rt_dev = link.ifr_name;
    done = ioctl(control.get(), SIOCADDRT, &route);
  }
  return done == 0 ? OkStatus() : Errno(errno, what);
}

}  // namespace berth
