#ifndef DOCKER_STREAM_LOG_READER_H_
#define DOCKER_STREAM_LOG_READER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::docker {

// One record of a container's log.
struct LogEntry {
  UnixNanos time = 0;
  bool from_stderr = false;
  std::string text;     // with the newline that it ends with, if any
  std::string details;  // of a record with attributes: "a=b,c=d"
};

// A line of either format that the shim writes: {"log":...} or "TIME stream
// F|P text". Nothing for a line that is neither.
std::optional<LogEntry> ParseLogLine(std::string_view line);

struct LogQuery {
  bool want_stdout = true;
  bool want_stderr = true;
  UnixNanos since = 0;
  UnixNanos until = 0;  // 0: no limit
  int64_t tail = -1;    // entries; -1: all
  bool follow = false;
};

// Gives the entries of a log to `sink`, oldest first, rotated files included:
// those that are there now, however fast the log grows. With `follow` it goes
// on with what is written, through each rotation, until the writer has ended
// (`alive` says false and all is read), `until` has passed, the context ends,
// or `sink` fails. No log yet is an empty one.
Status ReadLog(const Context& ctx, const std::string& path,
               const LogQuery& query, const std::function<bool()>& alive,
               const std::function<Status(const LogEntry&)>& sink);

}  // namespace berth::docker

#endif  // DOCKER_STREAM_LOG_READER_H_
