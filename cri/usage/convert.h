// Usage, as the kernel has it, in the messages of the CRI: pure functions. What
// the kernel does not count is left unset.
#ifndef CRI_USAGE_CONVERT_H_
#define CRI_USAGE_CONVERT_H_

#include <optional>
#include <vector>

#include "api/cri/v1/stats.pb.h"
#include "base/clock.h"
#include "sandbox/usage/stats.h"

namespace berth::cri {

namespace v1 = ::runtime::v1;

v1::CpuUsage ToCpu(const sandbox::UsageStats& usage);
v1::MemoryUsage ToMemory(const sandbox::UsageStats& usage);
v1::SwapUsage ToSwap(const sandbox::UsageStats& usage);
std::optional<v1::IoUsage> ToIo(const sandbox::UsageStats& usage);
// The first is the default interface.
v1::NetworkUsage ToNetwork(
    UnixNanos time, const std::vector<sandbox::InterfaceStats>& interfaces);

}  // namespace berth::cri

#endif  // CRI_USAGE_CONVERT_H_
