// The messages of NRI by a shorter name, and its events.
#ifndef NRI_MESSAGES_H_
#define NRI_MESSAGES_H_

#include <cstdint>
#include <string>

#include "api/nri/api.pb.h"

namespace berth::nri {

namespace api = ::nri::pkg::api::v1alpha1;

// A set of events, as a plugin subscribes to them: bit (event - 1).
using EventMask = uint32_t;
constexpr EventMask MaskOf(api::Event event) { return 1u << (event - 1); }
inline constexpr EventMask kAllEvents = MaskOf(api::LAST) - 1;

// The call that tells a plugin of it: "RunPodSandbox".
const char* MethodOf(api::Event event);

// A name may stand with a "-" before it: what it names is to be taken away.
inline bool IsRemoval(const std::string& name) {
  return !name.empty() && name[0] == '-';
}
inline std::string NameIn(const std::string& name) {
  return IsRemoval(name) ? name.substr(1) : name;
}

}  // namespace berth::nri

#endif  // NRI_MESSAGES_H_
