// Default routes of a namespace. Source: rtentry of route(8)'s ioctls,
// netdevice(7), namespaces(7).
#ifndef BASE_SYS_ROUTE_H_
#define BASE_SYS_ROUTE_H_

#include <string>

#include "base/status.h"

namespace berth {

// `netns` is an open descriptor of a network namespace; the caller's own does
// not change. Thread-safe.

// Takes away all default routes of the family. None: OK.
Status ClearDefaultRoutes(int netns, bool v6);

// The namespace's only default route of the gateway's family, in place of those
// there are. NOT_FOUND if there is no such interface.
Status SetDefaultRoute(int netns, const std::string& gateway,
                       const std::string& interface);

}  // namespace berth

#endif  // BASE_SYS_ROUTE_H_
