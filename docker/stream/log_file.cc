#include "docker/stream/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <glog/logging.h>
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
// Rotations that happen while one looks at the files, before one gives up.
constexpr int kMaxTries = 100;
constexpr useconds_t kRenamePauseUs = 1000;

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

StatusOr<LogFile> LogFile::Open(const Context& ctx, const std::string& path) {
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
  StatusOr<UniqueFd> fd = OpenFile(path, kFlags);
  const bool compressed = IsNotFound(fd.status());
  if (compressed) fd = OpenFile(path + kCompressed, kFlags);
  RETURN_IF_ERROR(fd.status());
  ASSIGN_OR_RETURN(const struct stat info, StatFd(fd->get()));
  if (!S_ISREG(info.st_mode)) {
    return InvalidArgument("log " + Quoted(path) + " is not a regular file");
  }
  LogFile file(ctx, *std::move(fd), info.st_dev, info.st_ino);
  if (compressed) {
    file.packed_ = path + kCompressed;
  } else {
    file.size_ = file.end_ = static_cast<uint64_t>(info.st_size);
  }
  return file;
}

// Of a file that was cut by a loss of power what can be read is read.
Status LogFile::Unpack() {
  if (packed_.empty()) return OkStatus();
  const std::string path = std::exchange(packed_, "");
  ASSIGN_OR_RETURN(text_, OpenFile(path.substr(0, path.rfind('/')),
                                   O_TMPFILE | O_RDWR, 0600));
  UniqueFd copy(fcntl(file_.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return Errno(errno, "fcntl F_DUPFD_CLOEXEC");
  image::FileSource packed(std::move(copy));
  StatusOr<std::unique_ptr<image::Decompressor>> source =
      image::Decompressor::Open(packed);
  Status read = source.status();
  while (read.ok()) {
    RETURN_IF_ERROR(ctx_.Check());
    const StatusOr<std::string_view> piece = (*source)->Next();
    read = piece.status();
    if (!piece.ok() || piece->empty()) break;
    RETURN_IF_ERROR(WriteAll(text_.get(), *piece));
    size_ += piece->size();
  }
  LOG_IF(WARNING, !read.ok())
      << "the rest of log " << Quoted(path) << " is lost: " << Message(read);
  end_ = std::max(end_, size_);
  return OkStatus();
}

bool LogFile::Hold() {
  // Others hold it as well; the writer asks for an instant (LOCK_EX), and who
  // compresses it for as long as that takes.
  for (int i = 0; i < 1000; ++i) {
    if (flock(file_.get(), LOCK_SH | LOCK_NB) == 0) return true;
    usleep(100);
  }
  return false;
}

StatusOr<bool> LogFile::Next(std::string& line) {
  RETURN_IF_ERROR(Unpack());
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
    ASSIGN_OR_RETURN(const std::string bytes, ReadAt(text(), offset_, size));
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
    const std::function<StatusOr<bool>(std::string_view, uint64_t)>& take) {
  RETURN_IF_ERROR(Unpack());
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
    ASSIGN_OR_RETURN(std::string piece, ReadAt(text(), offset, size));
    // Somebody has cut the file meanwhile.
    if (piece.size() < size) return OkStatus();
    bytes.insert(0, piece);
  }
}

StatusOr<uint64_t> LogFile::EndOfLines() {
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

StatusOr<std::vector<LogFile>> OpenLog(const Context& ctx,
                                       const std::string& path) {
  // Newest first: what is renamed meanwhile is met twice rather than missed.
  std::vector<LogFile> files;
  int tries = 0;
  for (int i = 0; i <= kMaxRotated;) {
    StatusOr<LogFile> file = LogFile::Open(ctx, NameOf(path, i));
    if (IsNotFound(file.status())) {
      const bool older = Exists(NameOf(path, i + 1));
      // It may be between two names. The newest may be missing for good.
      if (older && ++tries <= kMaxTries) continue;
      if (!older || i > 0) break;
      ++i;
      continue;
    }
    RETURN_IF_ERROR(file.status());
    const bool known =
        std::any_of(files.begin(), files.end(),
                    [&](const LogFile& other) { return other.SameAs(*file); });
    if (!known) files.push_back(*std::move(file));
    ++i;
  }
  std::reverse(files.begin(), files.end());
  return files;
}

StatusOr<std::optional<LogFile>> OpenAfter(const Context& ctx,
                                           const LogFile& current,
                                           const std::string& path) {
  for (int i = 0; i < kMaxTries;) {
    RETURN_IF_ERROR(ctx.Check());
    if (current.IsAt(path)) return std::optional<LogFile>();
    // Where it is now; else the first name without a file.
    int index = 0;
    bool found = false;
    do {
      found = current.IsAt(NameOf(path, ++index));
    } while (!found && index < kMaxRotated && Exists(NameOf(path, index)));
    // A name without a file between two that have one: they are being renamed.
    if (!found && i < kMaxTries / 2 && Exists(NameOf(path, index + 1))) {
      ++i;
      usleep(kRenamePauseUs);
      continue;
    }
    StatusOr<LogFile> next = LogFile::Open(ctx, NameOf(path, index - 1));
    if (IsNotFound(next.status())) return std::optional<LogFile>();
    RETURN_IF_ERROR(next.status());
    // It is being compressed: it is read when that is done.
    if (!next->Hold()) continue;
    ++i;
    // Renamed meanwhile: the file of that name may be a later one.
    if (!next->IsAt(NameOf(path, index - 1))) continue;
    if (found && !current.IsAt(NameOf(path, index))) continue;
    next->Unbound();
    return std::optional<LogFile>(*std::move(next));
  }
  return Unavailable("log " + Quoted(path) + " is rotated too often");
}

}  // namespace berth::docker
