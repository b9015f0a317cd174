#include "base/sys/link.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>

#include "base/strings.h"
#include "base/thread.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

// A socket belongs for ever to the namespace that its maker was in. A thread
// that lives for this alone is the only way to make one elsewhere without
// moving a thread that others use.
Status InNamespace(int netns, const std::function<Status()>& action) {
  Status status = OkStatus();
  const auto visit = [&] {
    status = setns(netns, CLONE_NEWNET) == 0
                 ? action()
                 : Errno(errno, "enter a network namespace");
  };
  ASSIGN_OR_RETURN(Thread visitor, StartThread("netns", visit));
  visitor.Join();
  return status;
}

Status SetUp(int netns, const std::string& name, bool up) {
  ifreq request = {};
  if (name.size() >= sizeof(request.ifr_name)) {
    return InvalidArgument("link name " + Quoted(name) + " is too long");
  }
  memcpy(request.ifr_name, name.data(), name.size());
  ASSIGN_OR_RETURN(const UniqueFd control,
                   SocketIn(netns, AF_INET, SOCK_DGRAM));
  const std::string what = "set link " + Quoted(name) + (up ? " up" : " down");
  if (ioctl(control.get(), SIOCGIFFLAGS, &request) != 0) {
    return errno == ENODEV ? NotFound(what + ": no such link")
                           : Errno(errno, what);
  }
  if (((request.ifr_flags & IFF_UP) != 0) == up) return OkStatus();
  request.ifr_flags = static_cast<short>(up ? request.ifr_flags | IFF_UP
                                            : request.ifr_flags & ~IFF_UP);
  if (ioctl(control.get(), SIOCSIFFLAGS, &request) != 0) {
    return Errno(errno, what);
  }
  return OkStatus();
}

int Ones(const void* bytes, size_t size) {
  int ones = 0;
  for (size_t i = 0; i < size; ++i) {
    ones += std::popcount(static_cast<const unsigned char*>(bytes)[i]);
  }
  return ones;
}

// "" for what is no address of the family.
std::string AddressText(const ifaddrs& entry, int family) {
  if (entry.ifa_addr == nullptr || entry.ifa_netmask == nullptr ||
      entry.ifa_addr->sa_family != family) {
    return "";
  }
  const auto at = [&](const sockaddr* of) -> const void* {
    if (family == AF_INET) {
      return &reinterpret_cast<const sockaddr_in*>(of)->sin_addr;
    }
    return &reinterpret_cast<const sockaddr_in6*>(of)->sin6_addr;
  };
  const size_t size = family == AF_INET ? sizeof(in_addr) : sizeof(in6_addr);
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(family, at(entry.ifa_addr), text, sizeof(text));
  return std::string(text) + "/" +
         std::to_string(Ones(at(entry.ifa_netmask), size));
}

}  // namespace

StatusOr<UniqueFd> SocketIn(int netns, int family, int type) {
  UniqueFd made;
  RETURN_IF_ERROR(InNamespace(netns, [&] {
    made.reset(socket(family, type | SOCK_CLOEXEC, 0));
    return made.valid() ? OkStatus() : Errno(errno, "make a socket");
  }));
  return made;
}

Status SetLinkUp(int netns, const std::string& name) {
  return SetUp(netns, name, true);
}

Status SetLinkDown(int netns, const std::string& name) {
  return SetUp(netns, name, false);
}

StatusOr<Link> FindLink(int netns, const std::string& name) {
  ifaddrs* read = nullptr;
  RETURN_IF_ERROR(InNamespace(netns, [&] {
    return getifaddrs(&read) == 0 ? OkStatus() : Errno(errno, "list addresses");
  }));
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> all(read, freeifaddrs);
  Link link;
  bool found = false;
  for (const int family : {AF_INET, AF_INET6}) {
    for (const ifaddrs* at = all.get(); at != nullptr; at = at->ifa_next) {
      if (at->ifa_name != name) continue;
      found = true;
      link.up = (at->ifa_flags & IFF_UP) != 0;
      std::string address = AddressText(*at, family);
      if (!address.empty()) link.addresses.push_back(std::move(address));
    }
  }
  if (!found) return NotFound("no link " + Quoted(name));
  return link;
}

namespace {

// One request of rtnetlink with attributes.
struct AddressRequest {
  nlmsghdr header = {};
  ifaddrmsg message = {};
  char attributes[64] = {};
};

void Append(AddressRequest& request, unsigned short type, const void* bytes,
            size_t size) {
  auto* attribute =
      reinterpret_cast<rtattr*>(reinterpret_cast<char*>(&request) +
                                NLMSG_ALIGN(request.header.nlmsg_len));
  attribute->rta_type = type;
  attribute->rta_len = static_cast<unsigned short>(RTA_LENGTH(size));
  memcpy(RTA_DATA(attribute), bytes, size);
  request.header.nlmsg_len = static_cast<uint32_t>(
      NLMSG_ALIGN(request.header.nlmsg_len) + RTA_SPACE(size));
}

// Sends it and reads the kernel's verdict.
Status Ask(int netns, const AddressRequest& request, const std::string& what) {
  ASSIGN_OR_RETURN(const UniqueFd fd, SocketIn(netns, AF_NETLINK, SOCK_RAW));
  if (send(fd.get(), &request, request.header.nlmsg_len, 0) < 0) {
    return Errno(errno, what);
  }
  struct {
    nlmsghdr header;
    nlmsgerr error;
    char rest[512];
  } answer = {};
  if (recv(fd.get(), &answer, sizeof(answer), 0) < 0) return Errno(errno, what);
  if (answer.header.nlmsg_type != NLMSG_ERROR || answer.error.error == 0 ||
      answer.error.error == -EEXIST) {
    return OkStatus();
  }
  return Errno(-answer.error.error, what);
}

}  // namespace

Status AddAddress(int netns, const std::string& name,
                  const std::string& address, int prefix_length) {
  const std::string what = "add address " + address + " to link " + name;
  const int family =
      address.find(':') == std::string::npos ? AF_INET : AF_INET6;
  char bytes[sizeof(in6_addr)] = {};
  if (inet_pton(family, address.c_str(), bytes) != 1) {
    return InvalidArgument(what + ": no address");
  }
  ifreq link = {};
  if (name.size() >= sizeof(link.ifr_name)) {
    return InvalidArgument(what + ": the name is too long");
  }
  memcpy(link.ifr_name, name.data(), name.size());
  ASSIGN_OR_RETURN(const UniqueFd control,
                   SocketIn(netns, AF_INET, SOCK_DGRAM));
  if (ioctl(control.get(), SIOCGIFINDEX, &link) != 0) {
    return errno == ENODEV ? NotFound(what + ": no such link")
                           : Errno(errno, what);
  }
  AddressRequest request;
  request.header.nlmsg_len = NLMSG_LENGTH(sizeof(ifaddrmsg));
  request.header.nlmsg_type = RTM_NEWADDR;
  request.header.nlmsg_flags =
      NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  request.message.ifa_family = static_cast<unsigned char>(family);
  request.message.ifa_prefixlen = static_cast<unsigned char>(prefix_length);
  request.message.ifa_index = static_cast<unsigned>(link.ifr_ifindex);
  request.message.ifa_scope = RT_SCOPE_LINK;
  const size_t size = family == AF_INET ? sizeof(in_addr) : sizeof(in6_addr);
  Append(request, IFA_LOCAL, bytes, size);
  Append(request, IFA_ADDRESS, bytes, size);
  return Ask(netns, request, what);
}

Status RemoveBridge(const std::string& name) {
  const std::string what = "remove bridge " + Quoted(name);
  if (name.size() >= IFNAMSIZ) return InvalidArgument(what + ": too long");
  const UniqueFd here(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!here.valid()) return Errno(errno, what);
  // The kernel keeps one that is up (br_ioctl.c, br_del_bridge: EBUSY).
  const Status down = SetLinkDown(here.get(), name);
  if (IsNotFound(down)) return OkStatus();
  RETURN_IF_ERROR(down);
  const UniqueFd control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!control.valid()) return Errno(errno, what);
  std::string text = name;
  if (ioctl(control.get(), SIOCBRDELBR, text.data()) == 0 || errno == ENXIO) {
    return OkStatus();
  }
  return Errno(errno, what);
}

}  // namespace berth
