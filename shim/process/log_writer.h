#ifndef SHIM_PROCESS_LOG_WRITER_H_
#define SHIM_PROCESS_LOG_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "shim/process/log_forwarder.h"

namespace berth::shim {

enum class LogFormat {
  kRaw,       // the bytes as they come
  kCri,       // "TIME stdout F text\n": the kubelet's
  kJsonFile,  // {"log":"text\n","stream":"stdout","time":"TIME"}: docker's
};

struct LogTarget {
  std::string path;
  LogFormat format = LogFormat::kRaw;
  uint64_t max_size = 0;    // bytes; kJsonFile only; 0: never rotate
  uint32_t max_files = 1;   // with the current one
  bool compress = false;    // rotated ones, to NAME.N.gz (log_compressor.h)
  size_t max_line = 16384;  // bytes of a record; what is longer is cut
  // kJsonFile: each record's member "attrs", as JSON; "" for none.
  std::string attrs = {};
  ForwardTarget forward = {};

  bool operator==(const LogTarget&) const = default;
};

// "berth-log:///ABS?format=cri", "...?format=json-file&max-size=N&max-file=N"
// and "&compress=1", with "&attr=NAME:VALUE" in hexadecimal for each attribute
// of a record (at most 64 KiB together),
// "&syslog=..." or "&journal=..." (log_forwarder.h), either with "&line=N" (at
// most 1 MiB, as each stream's unfinished line is held); "file:///ABS".
// INVALID_ARGUMENT for an unknown option or a relative path.
StatusOr<LogTarget> ParseLogUri(const std::string& uri);

// A log file that the two output streams of a process share. A record never
// mixes them, and is written whole.
//
// Records hold at most max_line bytes: what is longer is cut, in CRI's format
// into partial ones (tag P), of which the last, full one (F) ends the line.
// Output that ends without a newline is partial. A "\r" before the newline is
// dropped.
//
// A file that is full is rotated. If it may not be, as a follower that holds a
// shared lock (flock(2)) on the file deleted before it has yet to read the next
// one, it grows for a while.
//
// When the disk is full the output is lost, not the container: Write reports
// nothing, and `dropped` counts. Single-threaded.
class LogWriter {
 public:
  enum class Stream { kStdout, kStderr };

  // Creates the file (0640), and its directory if it is missing. Never blocks.
  // FAILED_PRECONDITION if something else than a regular file has the name: a
  // link, too, even to a regular file. The same holds for Reopen.
  static StatusOr<std::shared_ptr<LogWriter>> Open(const LogTarget& target);

  void Write(Stream stream, std::string_view bytes, UnixNanos now);
  // The stream has ended: writes out an unfinished line.
  void Finish(Stream stream, UnixNanos now);
  // Goes on in a new file of the same name; on failure in the old one.
  Status Reopen();
  uint64_t dropped() const { return dropped_; }

 private:
  LogWriter(LogTarget target, UniqueFd file, uint64_t size)
      : target_(std::move(target)), file_(std::move(file)), size_(size) {}
  void AddRecord(Stream stream, std::string_view text, bool full,
                 const std::string& time);
  void Put(std::string_view bytes);
  void Flush();
  void Rotate();
  void ShiftNames();
  void Compress();
  bool AwaitsFollower();
  bool IsHeld();

  const LogTarget target_;
  UniqueFd file_;
  UniqueFd deleted_;      // the file that was deleted last
  UniqueFd compressor_;   // pidfd of the last
  bool shifted_ = false;  // the file has its next name, but has no successor
  uint64_t size_;
  uint64_t dropped_ = 0;
  std::string unfinished_[2];  // of the current line, per stream
  std::string batch_;          // records of one Write
  std::unique_ptr<LogForwarder> forwarder_;
};

}  // namespace berth::shim

#endif  // SHIM_PROCESS_LOG_WRITER_H_
