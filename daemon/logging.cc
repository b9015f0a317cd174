#include "daemon/logging.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.h"

namespace berth::daemon {

void SetUpLog(const char* program) {
  FLAGS_logtostderr = true;
  google::InitGoogleLogging(program);
}

Status OpenLog(const config::v1::Log& log) {
  FLAGS_v = log.level() == config::v1::Log::DEBUG ? 1 : 0;
  FLAGS_minloglevel = google::GLOG_INFO;
  if (log.level() == config::v1::Log::WARNING) {
    FLAGS_minloglevel = google::GLOG_WARNING;
  } else if (log.level() == config::v1::Log::ERROR) {
    FLAGS_minloglevel = google::GLOG_ERROR;
  }
  if (log.file().empty()) return OkStatus();
  const UniqueFd file(open(log.file().c_str(),
                           O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  if (!file.valid()) return Errno(errno, "open log file " + log.file());
  if (dup3(file.get(), STDERR_FILENO, 0) < 0) {
    return Errno(errno, "dup3 of log file " + log.file());
  }
  return OkStatus();
}

}  // namespace berth::daemon
