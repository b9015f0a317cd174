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

// Numeric ("192.0.2.1", "fe80::1%eth0"), the preferred one first; at least one.
// At most 20 seconds. FAILED_PRECONDITION if there is none; DEADLINE_EXCEEDED
// or CANCELLED with the context, and DEADLINE_EXCEEDED if no answer came;
// UNAVAILABLE, at once, while too many others wait for theirs. Messages are
// "lookup HOST: ...". Thread-safe.
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
