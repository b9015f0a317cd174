// Network links of a namespace. Source: netdevice(7), namespaces(7),
// getifaddrs(3).
#ifndef BASE_SYS_LINK_H_
#define BASE_SYS_LINK_H_

#include <string>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth {

// `netns` is an open descriptor of a network namespace. The caller's own
// namespace does not change, so any thread may call these. NOT_FOUND if there
// is no link `name` in it.

// A socket of that namespace, socket(2), for any thread to use.
StatusOr<UniqueFd> SocketIn(int netns, int family, int type);

// Sets or clears IFF_UP; so already: OK.
Status SetLinkUp(int netns, const std::string& name);
Status SetLinkDown(int netns, const std::string& name);

struct Link {
  bool up = false;
  std::vector<std::string> addresses;  // "127.0.0.1/8"; IPv4 first
};
StatusOr<Link> FindLink(int netns, const std::string& name);

// Gives the link one more address, "169.254.7.7" or "fe80::7", without a route
// of its own beside that of its prefix. There already: OK. Source:
// rtnetlink(7), RTM_NEWADDR.
Status AddAddress(int netns, const std::string& name,
                  const std::string& address, int prefix_length);

// Takes a bridge of the caller's own namespace away, up or down. OK if there is
// none of that name.
Status RemoveBridge(const std::string& name);

}  // namespace berth

#endif  // BASE_SYS_LINK_H_
