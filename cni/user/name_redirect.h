#ifndef CNI_USER_NAME_REDIRECT_H_
#define CNI_USER_NAME_REDIRECT_H_

#include <string>

#include "base/context.h"
#include "base/status.h"

namespace berth::cni {

// Where programs of a network namespace find a name server, and the port that
// it listens on: 53 may be wanted by a program in there.
inline constexpr char kNameServer[] = "127.0.0.11";
inline constexpr int kNameServerPort = 41053;

// Sends what goes to kNameServer's port 53 to kNameServerPort, in the namespace
// with this path alone. Done already: OK. Thread-safe.
Status RedirectNames(const Context& ctx, const std::string& netns);

}  // namespace berth::cni

#endif  // CNI_USER_NAME_REDIRECT_H_
