#ifndef DAEMON_NOTIFY_H_
#define DAEMON_NOTIFY_H_

#include <string>

namespace berth::daemon {

// Tells the service manager ("READY=1"; sd_notify(3)) if one asked to be told,
// by NOTIFY_SOCKET. Nobody waits for an answer, so failure is only logged.
void NotifyManager(const std::string& state);

}  // namespace berth::daemon

#endif  // DAEMON_NOTIFY_H_
