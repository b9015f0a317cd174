#include "oci/init/net_devices.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "base/sys/namespace.h"
#include "base/unique_fd.h"

namespace berth::oci {
namespace {

constexpr size_t kAnswerBytes = 64 << 10;

StatusOr<UniqueFd> OpenNetlink() {
  UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd.valid()) return Errno(errno, "netlink socket");
  return fd;
}

// One request: a header, a fixed part, attributes.
class Request {
 public:
  template <typename T>
  Request(uint16_t type, uint16_t flags, const T& fixed) {
    struct nlmsghdr header = {};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    Append(&header, sizeof(header));
    Append(&fixed, sizeof(fixed));
  }

  void Add(uint16_t type, const void* value, size_t size) {
    struct rtattr attribute = {};
    attribute.rta_len = static_cast<uint16_t>(RTA_LENGTH(size));
    attribute.rta_type = type;
    Append(&attribute, sizeof(attribute));
    Append(value, size);
  }

  Status Send(int fd) {
    const auto length = static_cast<uint32_t>(bytes_.size());
    memcpy(bytes_.data(), &length, sizeof(length));  // nlmsg_len
    if (send(fd, bytes_.data(), bytes_.size(), 0) < 0) {
      return Errno(errno, "netlink request");
    }
    return OkStatus();
  }

  // Sends it, and waits for the kernel's answer to it.
  Status Run(int fd) {
    RETURN_IF_ERROR(Send(fd));
    struct {
      struct nlmsghdr header;
      struct nlmsgerr error;
      char rest[1024];
    } answer = {};
    const ssize_t n = TEMP_FAILURE_RETRY(recv(fd, &answer, sizeof(answer), 0));
    if (n < static_cast<ssize_t>(sizeof(answer.header) +
                                 sizeof(answer.error)) ||
        answer.header.nlmsg_type != NLMSG_ERROR) {
      return Errno(n < 0 ? errno : EBADMSG, "netlink answer");
    }
    if (answer.error.error == 0) return OkStatus();
    return Errno(-answer.error.error, "netlink");
  }

 private:
  void Append(const void* value, size_t size) {
    const char* bytes = static_cast<const char*>(value);
    bytes_.append(bytes, size);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  }

  std::string bytes_;
};

struct Address {
  struct ifaddrmsg head = {};
  std::vector<std::pair<uint16_t, std::string>> attributes;
};

// The address, if it is one that the link keeps.
void Collect(const struct nlmsghdr* message, int index,
             std::vector<Address>& addresses) {
  const auto* head = static_cast<const struct ifaddrmsg*>(NLMSG_DATA(message));
  if (head->ifa_index != static_cast<unsigned>(index) ||
      head->ifa_scope != RT_SCOPE_UNIVERSE) {
    return;
  }
  Address address;
  address.head = *head;
  uint32_t flags = head->ifa_flags;
  int left = static_cast<int>(IFA_PAYLOAD(message));
  for (const struct rtattr* at = IFA_RTA(head); RTA_OK(at, left);
       at = RTA_NEXT(at, left)) {
    const auto* data = static_cast<const char*>(RTA_DATA(at));
    if (at->rta_type == IFA_FLAGS && RTA_PAYLOAD(at) == sizeof(flags)) {
      memcpy(&flags, data, sizeof(flags));
    }
    if (at->rta_type == IFA_LOCAL || at->rta_type == IFA_ADDRESS ||
        at->rta_type == IFA_BROADCAST) {
      address.attributes.emplace_back(at->rta_type,
                                      std::string(data, RTA_PAYLOAD(at)));
    }
  }
  if (flags & IFA_F_PERMANENT) addresses.push_back(std::move(address));
}

StatusOr<std::vector<Address>> AddressesOf(int fd, int index) {
  Request request(RTM_GETADDR, NLM_F_DUMP, ifaddrmsg());
  RETURN_IF_ERROR(request.Send(fd));
  std::vector<Address> addresses;
  std::vector<uint64_t> buffer(kAnswerBytes / sizeof(uint64_t));
  while (true) {
    const ssize_t n =
        TEMP_FAILURE_RETRY(recv(fd, buffer.data(), kAnswerBytes, 0));
    if (n <= 0) return Errno(n < 0 ? errno : EBADMSG, "list addresses");
    auto left = static_cast<unsigned>(n);
    for (const auto* at =
             reinterpret_cast<const struct nlmsghdr*>(buffer.data());
         NLMSG_OK(at, left); at = NLMSG_NEXT(at, left)) {
      if (at->nlmsg_type == NLMSG_DONE) return addresses;
      if (at->nlmsg_type == NLMSG_ERROR) return Internal("list addresses");
      if (at->nlmsg_type == RTM_NEWADDR) Collect(at, index, addresses);
    }
  }
}

Status MoveLink(int fd, int index, const std::string& name, int netns) {
  struct ifinfomsg head = {};
  head.ifi_index = index;
  Request request(RTM_NEWLINK, NLM_F_ACK, head);
  const auto target = static_cast<uint32_t>(netns);
  request.Add(IFLA_NET_NS_FD, &target, sizeof(target));
  request.Add(IFLA_IFNAME, name.c_str(), name.size() + 1);
  return request.Run(fd);
}

Status AddAddress(int fd, int index, const Address& address) {
  struct ifaddrmsg head = address.head;
  head.ifa_index = static_cast<unsigned>(index);
  head.ifa_flags = IFA_F_PERMANENT;
  // No other host can have it yet: there has been no time to ask.
  if (head.ifa_family == AF_INET6) head.ifa_flags |= IFA_F_NODAD;
  Request request(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, head);
  for (const auto& [type, value] : address.attributes) {
    request.Add(type, value.data(), value.size());
  }
  return request.Run(fd);
}

Status SetUp(int fd, int index) {
  struct ifinfomsg head = {};
  head.ifi_index = index;
  head.ifi_flags = IFF_UP;
  head.ifi_change = IFF_UP;
  return Request(RTM_NEWLINK, NLM_F_ACK, head).Run(fd);
}

// In the namespace of the socket.
bool IsTaken(int there, const std::string& name) {
  struct ifreq request = {};
  memcpy(request.ifr_name, name.data(),
         std::min(name.size(), sizeof(request.ifr_name) - 1));
  return ioctl(there, SIOCGIFINDEX, &request) == 0;
}

// In the namespace of the socket. A template ("eth%d") has no name to look
// for: then the link has the number that it had, which nobody else has there.
StatusOr<int> IndexOf(int there, const std::string& name, int before) {
  if (name.find('%') != std::string::npos) return before;
  struct ifreq request = {};
  memcpy(request.ifr_name, name.data(),
         std::min(name.size(), sizeof(request.ifr_name) - 1));
  if (ioctl(there, SIOCGIFINDEX, &request) != 0) {
    return Errno(errno, "find it there");
  }
  return request.ifr_ifindex;
}

// Sockets stay in the namespace that they were made in.
StatusOr<UniqueFd> OpenNetlinkIn(int netns) {
  ASSIGN_OR_RETURN(const UniqueFd own,
                   OpenNamespace("/proc/self/ns/net", CLONE_NEWNET));
  RETURN_IF_ERROR(EnterNamespace(netns, CLONE_NEWNET));
  auto fd = OpenNetlink();
  RETURN_IF_ERROR(EnterNamespace(own.get(), CLONE_NEWNET));
  return fd;
}

Status MoveOne(int here, int there, int netns, const std::string& from,
               const std::string& to) {
  const int index = static_cast<int>(if_nametoindex(from.c_str()));
  if (index == 0) return Errno(errno, "find it");
  ASSIGN_OR_RETURN(const std::vector<Address> addresses,
                   AddressesOf(here, index));
  // The kernel would move it first, and only then see that.
  if (IsTaken(there, to)) {
    return AlreadyExists("a device " + Quoted(to) + " is there already");
  }
  RETURN_IF_ERROR_AS(MoveLink(here, index, to, netns), "move it");
  ASSIGN_OR_RETURN(const int moved, IndexOf(there, to, index));
  for (const Address& address : addresses) {
    RETURN_IF_ERROR_AS(AddAddress(there, moved, address), "give its address");
  }
  return Annotate(SetUp(there, moved), "set it up");
}

}  // namespace

Status MoveNetDevices(const std::map<std::string, std::string>& devices,
                      pid_t pid) {
  ASSIGN_OR_RETURN(
      const UniqueFd netns,
      OpenNamespace("/proc/" + std::to_string(pid) + "/ns/net", CLONE_NEWNET));
  ASSIGN_OR_RETURN(const UniqueFd here, OpenNetlink());
  ASSIGN_OR_RETURN(const UniqueFd there, OpenNetlinkIn(netns.get()));
  for (const auto& [from, to] : devices) {
    RETURN_IF_ERROR_AS(MoveOne(here.get(), there.get(), netns.get(), from,
                               to.empty() ? from : to),
                       "linux.netDevices " + Quoted(from));
  }
  return OkStatus();
}

}  // namespace berth::oci
