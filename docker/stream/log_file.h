#ifndef DOCKER_STREAM_LOG_FILE_H_
#define DOCKER_STREAM_LOG_FILE_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/context.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::docker {

// One file of a log, read line by line. As long as it is held by a follower
// (Hold) the writer does not delete the file that comes after it
// (shim/process/log_writer.h), within bounds. Single-threaded.
class LogFile {
 public:
  // The file, or else NAME.gz, which is uncompressed into a file without a name
  // when it is first read; the context bounds that. NOT_FOUND; INVALID_ARGUMENT
  // for what is not a regular file.
  static StatusOr<LogFile> Open(const Context& ctx, const std::string& path);

  // Reads what was there when it was opened, and no more, unless `Unbound`.
  void Unbound() { end_ = UINT64_MAX; }
  // False if it is being compressed.
  bool Hold();

  // The next line without its newline. False when there is no whole one (yet).
  StatusOr<bool> Next(std::string& line);
  // Goes on with the line that begins there.
  void Seek(uint64_t offset);

  // Gives the whole lines to `take`, the last first, with the offset that each
  // begins at, until it says false. Does not change what Next gives.
  Status Backwards(const std::function<StatusOr<bool>(std::string_view line,
                                                      uint64_t offset)>& take);
  // Where the last whole line ends.
  StatusOr<uint64_t> EndOfLines();

  bool SameAs(const LogFile& other) const {
    return device_ == other.device_ && inode_ == other.inode_;
  }
  bool IsAt(const std::string& path) const;

 private:
  LogFile(const Context& ctx, UniqueFd file, dev_t device, ino_t inode)
      : ctx_(ctx), file_(std::move(file)), device_(device), inode_(inode) {}
  Status Unpack();
  int text() const { return text_.valid() ? text_.get() : file_.get(); }

  Context ctx_;
  UniqueFd file_;
  UniqueFd text_;       // of a compressed one, when it has been read
  std::string packed_;  // path of a compressed one before that
  dev_t device_;
  ino_t inode_;
  uint64_t size_ = 0;    // when it was opened
  uint64_t end_ = 0;     // Next reads no further
  uint64_t offset_ = 0;  // of the byte behind the buffer
  std::string buffer_;
  size_t begin_ = 0;     // of the next line in it
  size_t searched_ = 0;  // no newline before
};

// The files of a log that is rotated: PATH is written now, PATH.1 was before
// it, and so on; each but PATH may be compressed, PATH.1.gz.
//
// All of them, oldest first. Correct while they are being rotated.
StatusOr<std::vector<LogFile>> OpenLog(const Context& ctx,
                                       const std::string& path);
// The file that was begun after `current`; nothing if there is none yet. If
// `current` has been deleted it is the oldest that is left. Waits until that is
// not being compressed.
StatusOr<std::optional<LogFile>> OpenAfter(const Context& ctx,
                                           const LogFile& current,
                                           const std::string& path);

}  // namespace berth::docker

#endif  // DOCKER_STREAM_LOG_FILE_H_
