#ifndef DAEMON_ADMIN_H_
#define DAEMON_ADMIN_H_

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace berth::daemon {

// Asks the daemon behind `socket` what every client asks first;
// DEADLINE_EXCEEDED if it does not answer within `limit`.
Status AskVersion(const std::string& socket, Duration limit);

// Asks the daemon behind `socket` to load images from an archive on this
// machine; the names they have now.
StatusOr<std::vector<std::string>> ImportImages(const std::string& socket,
                                                const std::string& archive);

// Asks it to write images into an archive or a directory on this machine.
Status ExportImages(const std::string& socket,
                    const std::vector<std::string>& images,
                    const std::string& path);

}  // namespace berth::daemon

#endif  // DAEMON_ADMIN_H_
