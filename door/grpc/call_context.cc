#include "door/grpc/call_context.h"

#include <chrono>

#include "base/strings.h"

namespace berth::door {

Context ContextOf(const grpc::CallbackServerContext& call) {
  // Long enough to be found again in a log, short enough to be read.
  Context context = Context::Background(RandomId().substr(0, 12)).WithCancel();
  const std::chrono::system_clock::time_point deadline = call.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return context;
  const auto left = deadline - std::chrono::system_clock::now();
  // "Infinite" is a date centuries away in some versions of the library.
  if (left > std::chrono::hours(24 * 365)) return context;
  return context.WithDeadline(
      std::chrono::steady_clock::now() +
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(left));
}

}  // namespace berth::door
