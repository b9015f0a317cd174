#ifndef DAEMON_VERSION_H_
#define DAEMON_VERSION_H_

namespace berth::daemon {

// Semantic; clients are told, and crictl prints it.
inline constexpr char kVersion[] = "0.1.0";

}  // namespace berth::daemon

#endif  // DAEMON_VERSION_H_
