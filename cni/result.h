#ifndef CNI_RESULT_H_
#define CNI_RESULT_H_

#include <string>

#include "base/json.h"
#include "base/status.h"
#include "cni/network.h"

namespace berth::cni {

// The last plugin's answer to ADD, in any version from 0.3.0 to 1.1.0, as what
// it means for the interface `interface` of the sandbox. Addresses of other
// interfaces of the sandbox follow; those of the host's interfaces are left
// out. INVALID_ARGUMENT names the member.
StatusOr<NetworkResult> ParseResult(const Json& result,
                                    const std::string& interface);

}  // namespace berth::cni

#endif  // CNI_RESULT_H_
