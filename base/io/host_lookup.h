// The addresses of a host by its name. getaddrinfo(3) knows no deadline, and a
// name server that does not answer holds its caller up for as long as
// resolv.conf says.
#ifndef BASE_IO_HOST_LOOKUP_H_
#define BASE_IO_HOST_LOOKUP_H_

#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"

namespace berth {

// The addresses of a host, as numbers ("192.0.2.1", "fe80::1%eth0"), the
// preferred one first; at least one. FAILED_PRECONDITION if the host has no
// address; DEADLINE_EXCEEDED if no name server answers within 20 seconds;
// DEADLINE_EXCEEDED or CANCELLED if the context ends; UNAVAILABLE, at once, if
// 64 look-ups wait already. Messages are "lookup HOST: ...". Thread-safe.
StatusOr<std::vector<std::string>> LookUpHost(const Context& ctx,
                                              const std::string& host);

// The same with another resolver and limit, for tests. The resolver is called
// on a thread that outlives this call if it takes too long: it must own all
// that it uses.
using Resolver =
    std::function<StatusOr<std::vector<std::string>>(const std::string& host)>;
StatusOr<std::vector<std::string>> LookUpHostBy(const Context& ctx,
                                                const std::string& host,
                                                const Resolver& resolver,
                                                Duration limit);

}  // namespace berth

#endif  // BASE_IO_HOST_LOOKUP_H_
