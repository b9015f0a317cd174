#include "docker/stream/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "base/sys/file.h"
#include "image/layer/byte_source.h"
#include "image/layer/decompressor.h"

namespace berth::docker {
namespace {

constexpr size_t kReadSize = 64 << 10;
// Longer lines are not ours; they are cut.
constexpr size_t kMaxLine = 1 << 20;
constexpr int kMaxRotated = 1000;
// What a rotated file is called when it has been compressed.
constexpr char kCompressed[] = ".gz";
constexpr uint64_t kMaxUncompressed = uint64_t{1} << 30;
// Rotations that happen while one looks at the files, before one gives up.
constexpr int kMaxTries = 100;

std::string NameOf(const std::string& path, int index) {
  return index == 0 ? path : path + "." + std::to_string(index);
}

bool Exists(const std::string& path) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0 ||
         lstat((path + kCompressed).c_str(), &info) == 0;
}

StatusOr<std::string> ReadAt(int fd, uint64_t offset, size_t size) {
  std::string bytes(size, '\0');
  const ssize_t n = TEMP_FAILURE_RETRY(
      pread(fd, bytes.data(), size, static_cast<off_t>(offset)));
  if (n < 0) return Errno(errno, "read log");
  bytes.resize(static_cast<size_t>(n));
  return bytes;
}

}  // namespace

StatusOr<LogFile> LogFile::Open(const std::string& path) {
  StatusOr<UniqueFd> plain = OpenFile(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (IsNotFound(plain.status())) return OpenCompressed(path + kCompressed);
  RETURN_IF_ERROR(plain.status());
  UniqueFd fd = *std::move(plain);
  ASSIGN_OR_RETURN(const struct stat info, StatFd(fd.get()));
  if (!S_ISREG(info.st_mode)) {
    return InvalidArgument("log " + Quoted(path) + " is not a regular file");
  }
  return LogFile(std::move(fd), info.st_dev, info.st_ino,
                 static_cast<uint64_t>(info.st_size));
}

StatusOr<LogFile> LogFile::OpenCompressed(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd fd,
                   OpenFile(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  ASSIGN_OR_RETURN(const struct stat info, StatFd(fd.get()));
  if (!S_ISREG(info.st_mode)) {
    return InvalidArgument("log " + Quoted(path) + " is not a regular file");
  }
  ASSIGN_OR_RETURN(UniqueFd text, OpenFile(path.substr(0, path.rfind('/')),
                                           O_TMPFILE | O_RDWR, 0600));
  image::FileSource file(std::move(fd));
  ASSIGN_OR_RETURN_AS(const auto source, image::Decompressor::Open(file),
                      Quoted(path));
  uint64_t size = 0;
  while (true) {
    ASSIGN_OR_RETURN_AS(const std::string_view piece, source->Next(),
                        Quoted(path));
    if (piece.empty()) break;
    size += piece.size();
    if (size > kMaxUncompressed) {
      return ResourceExhausted("log " + Quoted(path) + " is too long");
    }
    RETURN_IF_ERROR(WriteAll(text.get(), piece));
  }
  return LogFile(std::move(text), info.st_dev, info.st_ino, size);
}

void LogFile::Hold() {
  // Others hold it as well; the writer asks for an instant (LOCK_EX).
  for (int i = 0; i < 1000 && flock(fd_.get(), LOCK_SH | LOCK_NB) != 0; ++i) {
    usleep(100);
  }
}

StatusOr<bool> LogFile::Next(std::string& line) {
  while (true) {
    const size_t newline = buffer_.find('\n', searched_);
    if (newline != std::string::npos) {
      line = buffer_.substr(begin_, newline - begin_);
      begin_ = searched_ = newline + 1;
      return true;
    }
    buffer_.erase(0, begin_);
    if (buffer_.size() > kMaxLine) buffer_.clear();
    begin_ = 0;
    searched_ = buffer_.size();
    const size_t size =
        std::min<uint64_t>(kReadSize, end_ - std::min(end_, offset_));
    ASSIGN_OR_RETURN(const std::string bytes, ReadAt(fd_.get(), offset_, size));
    if (bytes.empty()) return false;
    offset_ += bytes.size();
    buffer_ += bytes;
  }
}

void LogFile::Seek(uint64_t offset) {
  buffer_.clear();
  begin_ = searched_ = 0;
  offset_ = offset;
}

Status LogFile::Backwards(
    const std::function<StatusOr<bool>(std::string_view, uint64_t)>& take)
    const {
  std::string bytes;  // of the file from `offset` on, up to a line's end
  uint64_t offset = size_;
  bool whole = false;  // what follows the last newline has been dropped
  while (true) {
    if (!whole) {
      const size_t last = bytes.rfind('\n');
      whole = last != std::string::npos;
      bytes.resize(whole ? last + 1 : 0);
    }
    while (bytes.size() > 0) {
      const size_t newline = bytes.size() < 2
                                 ? std::string::npos
                                 : bytes.rfind('\n', bytes.size() - 2);
      if (newline == std::string::npos && offset > 0) break;
      const size_t begin = newline == std::string::npos ? 0 : newline + 1;
      const std::string_view line(bytes.data() + begin,
                                  bytes.size() - begin - 1);
      ASSIGN_OR_RETURN(const bool more, take(line, offset + begin));
      if (!more) return OkStatus();
      bytes.resize(begin);
    }
    if (offset == 0) return OkStatus();
    if (bytes.size() > kMaxLine) bytes = "\n";
    const size_t size = std::min<uint64_t>(kReadSize, offset);
    offset -= size;
    ASSIGN_OR_RETURN(std::string piece, ReadAt(fd_.get(), offset, size));
    // Somebody has cut the file meanwhile.
    if (piece.size() < size) return OkStatus();
    bytes.insert(0, piece);
  }
}

StatusOr<uint64_t> LogFile::EndOfLines() const {
  uint64_t end = 0;
  RETURN_IF_ERROR(
      Backwards([&](std::string_view line, uint64_t offset) -> StatusOr<bool> {
        end = offset + line.size() + 1;
        return false;
      }));
  return end;
}

bool LogFile::IsAt(const std::string& path) const {
  for (const std::string& name : {path, path + kCompressed}) {
    struct stat info;
    if (lstat(name.c_str(), &info) == 0 && info.st_dev == device_ &&
        info.st_ino == inode_) {
      return true;
    }
  }
  return false;
}

StatusOr<std::vector<LogFile>> OpenLog(const std::string& path) {
  // Newest first: what is renamed meanwhile is met twice rather than missed.
  std::vector<LogFile> files;
  for (int i = 0; i <= kMaxRotated; ++i) {
    StatusOr<LogFile> file = LogFile::Open(NameOf(path, i));
    // The newest may be between its renaming and its creation.
    if (IsNotFound(file.status()) && i == 0) continue;
    if (IsNotFound(file.status())) break;
    RETURN_IF_ERROR(file.status());
    const bool known =
        std::any_of(files.begin(), files.end(),
                    [&](const LogFile& other) { return other.SameAs(*file); });
    if (!known) files.push_back(*std::move(file));
  }
  std::reverse(files.begin(), files.end());
  return files;
}

StatusOr<std::optional<LogFile>> OpenAfter(const LogFile& current,
                                           const std::string& path) {
  for (int i = 0; i < kMaxTries; ++i) {
    if (current.IsAt(path)) return std::optional<LogFile>();
    // Where it is now; else the first name without a file.
    int index = 1;
    while (index <= kMaxRotated && !current.IsAt(NameOf(path, index)) &&
           Exists(NameOf(path, index))) {
      ++index;
    }
    const bool found = current.IsAt(NameOf(path, index));
    StatusOr<LogFile> next = LogFile::Open(NameOf(path, index - 1));
    if (IsNotFound(next.status())) return std::optional<LogFile>();
    RETURN_IF_ERROR(next.status());
    next->Hold();
    // Renamed meanwhile: the file of that name may be a later one.
    if (!next->IsAt(NameOf(path, index - 1))) continue;
    if (found && !current.IsAt(NameOf(path, index))) continue;
    next->Unbound();
    return std::optional<LogFile>(*std::move(next));
  }
  return Unavailable("log " + Quoted(path) + " is rotated too often");
}

}  // namespace berth::docker
