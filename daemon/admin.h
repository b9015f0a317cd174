#ifndef DAEMON_ADMIN_H_
#define DAEMON_ADMIN_H_

#include <string>
#include <vector>

#include "base/status.h"

namespace berth::daemon {

// Asks the daemon behind `socket` to load images from an archive on this
// machine; the names they have now.
StatusOr<std::vector<std::string>> ImportImages(const std::string& socket,
                                                const std::string& archive);

}  // namespace berth::daemon

#endif  // DAEMON_ADMIN_H_
