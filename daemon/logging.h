#ifndef DAEMON_LOGGING_H_
#define DAEMON_LOGGING_H_

#include "api/config/v1/config.pb.h"
#include "base/status.h"

namespace berth::daemon {

// Once, first thing in main.
void SetUpLog(const char* program);

// Sends the log where the configuration says: standard error becomes the file,
// so that what libraries print goes there too. Again: opens the file anew.
Status OpenLog(const config::v1::Log& log);

}  // namespace berth::daemon

#endif  // DAEMON_LOGGING_H_
