// Network links of a namespace. Source: netdevice(7), namespaces(7).
#ifndef BASE_SYS_LINK_H_
#define BASE_SYS_LINK_H_

#include <string>

#include "base/status.h"

namespace berth {

// Sets IFF_UP on the link `name` in the network namespace `netns` (an open
// descriptor); up already: OK. NOT_FOUND if there is no such link.
//
// The caller's own namespace does not change, so any thread may call it.
Status SetLinkUp(int netns, const std::string& name);

}  // namespace berth

#endif  // BASE_SYS_LINK_H_
