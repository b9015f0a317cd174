#include "oci/cli/log.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/sys/file.h"

namespace berth::oci {

StatusOr<Log> Log::Open(const std::string& path, const std::string& format) {
  Log log;
  if (format == "json") {
    log.format_ = Format::kJson;
  } else if (!format.empty() && format != "text") {
    return InvalidArgument("--log-format: unknown " + Quoted(format));
  }
  if (path.empty()) return log;
  ASSIGN_OR_RETURN_AS(
      log.file_, OpenFile(path, O_WRONLY | O_CREAT | O_APPEND, 0644), "--log");
  return log;
}

void Log::Write(const char* level, const std::string& message) const {
  const std::string time = FormatRfc3339(Now());
  std::string record;
  if (format_ == Format::kJson) {
    record = DumpJson({{"level", level}, {"msg", message}, {"time", time}});
  } else {
    record = "time=\"" + time + "\" level=" + level + " msg=" + Quoted(message);
  }
  record += "\n";
  // There is nowhere left to report a log that cannot be written.
  if (file_.valid()) {
    (void)WriteAll(file_.get(), record).ok();
    record = message + "\n";
  }
  (void)WriteAll(STDERR_FILENO, record).ok();
}

}  // namespace berth::oci
