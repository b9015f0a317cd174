#ifndef SHIM_CLIENT_SHIM_COMMAND_H_
#define SHIM_CLIENT_SHIM_COMMAND_H_

#include <string>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"
#include "shim/shim.h"

namespace berth::shim {

// A run of a shim's program by the shim v2 contract, and which shims a sandbox
// has: berth-shim alone, or a foreign one and a berth-shim beside it.

bool IsForeign(const SandboxShim& sandbox);
// The foreign one of the two, in a folder of its own.
SandboxShim ForeignOf(const SandboxShim& sandbox);
// berth-shim: all there is, or what helps the foreign one.
SandboxShim NativeOf(const SandboxShim& sandbox);

// Of berth-shim; a foreign shim makes one of its own choice.
std::string SocketPath(const SandboxShim& native);

// Makes what shims that were made for containerd look for where they start.
Status PrepareForForeign(const SandboxShim& foreign);

struct ShimAction {
  std::string id;      // of the container, or the sandbox
  std::string bundle;  // its directory, which the program runs in
  std::string action;  // "start", "delete"
  Duration time_limit{0};
};

// `shim` is what ForeignOf or NativeOf gave. The answer is what the program
// wrote.
StatusOr<std::string> RunShim(const Context& ctx, const SandboxShim& shim,
                              const ShimAction& action);

}  // namespace berth::shim

#endif  // SHIM_CLIENT_SHIM_COMMAND_H_
