#include "docker/log_reader.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/strings.h"
#include "base/sys/file.h"

namespace berth::docker {
namespace {

constexpr size_t kReadSize = 64 << 10;
// Longer lines are not ours; they are cut.
constexpr size_t kMaxLine = 1 << 20;
constexpr int kMaxRotated = 1000;
// How often a follower looks whether the writer is still there.
constexpr int kLookAgainMs = 200;
// Seconds from 1970 either way that a UnixNanos holds, and some days less.
constexpr int64_t kFarthest = INT64_MAX / 1000000000 - 1000000;

std::optional<LogEntry> ParseJsonLine(std::string_view line) {
  const StatusOr<Json> json = ParseJson(line, "log");
  if (!json.ok()) return std::nullopt;
  JsonReader reader(*json, "log");
  LogEntry entry;
  std::string stream;
  std::string time;
  reader.Get("log", entry.text);
  reader.Get("stream", stream);
  reader.Get("time", time);
  const std::optional<UnixNanos> when = ParseRfc3339(time);
  if (!reader.status().ok() || !when.has_value()) return std::nullopt;
  entry.time = *when;
  entry.from_stderr = stream == "stderr";
  return entry;
}

}  // namespace

std::optional<UnixNanos> ParseRfc3339(std::string_view text) {
  tm parts = {};
  const std::string copy(text);
  const char* rest = strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return std::nullopt;
  const int64_t seconds = timegm(&parts);
  if (seconds < -kFarthest || seconds > kFarthest) return std::nullopt;
  UnixNanos nanos = seconds * 1000000000;
  if (*rest == '.') {
    int64_t unit = 100000000;
    for (++rest; *rest >= '0' && *rest <= '9'; ++rest, unit /= 10) {
      nanos += (*rest - '0') * unit;
    }
  }
  if (*rest == 'Z' && rest[1] == '\0') return nanos;
  if ((*rest != '+' && *rest != '-') || Trim(rest).size() != 6) {
    return std::nullopt;
  }
  const std::optional<uint64_t> hours = ParseUint(std::string(rest + 1, 2));
  const std::optional<uint64_t> minutes = ParseUint(std::string(rest + 4, 2));
  if (!hours.has_value() || !minutes.has_value()) return std::nullopt;
  const auto offset =
      static_cast<int64_t>(*hours * 3600 + *minutes * 60) * 1000000000;
  return *rest == '+' ? nanos - offset : nanos + offset;
}

std::optional<LogEntry> ParseLogLine(std::string_view line) {
  if (StartsWith(line, "{")) return ParseJsonLine(line);
  // "TIME STREAM TAG TEXT"
  std::string_view rest = line;
  std::string_view words[3];
  for (std::string_view& word : words) {
    const size_t blank = rest.find(' ');
    if (blank == std::string_view::npos) return std::nullopt;
    word = rest.substr(0, blank);
    rest.remove_prefix(blank + 1);
  }
  const std::optional<UnixNanos> when = ParseRfc3339(words[0]);
  if (!when.has_value()) return std::nullopt;
  LogEntry entry;
  entry.time = *when;
  entry.from_stderr = words[1] == "stderr";
  entry.text = std::string(rest);
  if (words[2].substr(0, 1) == "F") entry.text += '\n';
  return entry;
}

namespace {

// One log file, read line by line as it grows.
class LogFile {
 public:
  explicit LogFile(UniqueFd fd) : fd_(std::move(fd)) {}

  // False when there is no whole line (yet).
  StatusOr<bool> Next(std::string& line) {
    while (true) {
      const size_t end = buffer_.find('\n', searched_);
      if (end != std::string::npos) {
        line = buffer_.substr(begin_, end - begin_);
        begin_ = searched_ = end + 1;
        return true;
      }
      buffer_.erase(0, begin_);
      if (buffer_.size() > kMaxLine) buffer_.clear();
      begin_ = 0;
      searched_ = buffer_.size();
      char bytes[kReadSize];
      ASSIGN_OR_RETURN(const size_t n,
                       ReadUpTo(fd_.get(), bytes, sizeof(bytes)));
      if (n == 0) return false;
      buffer_.append(bytes, n);
    }
  }

  // To its first line again.
  Status Rewind() {
    buffer_.clear();
    begin_ = searched_ = 0;
    if (lseek(fd_.get(), 0, SEEK_SET) != 0) return Errno(errno, "lseek log");
    return OkStatus();
  }

  bool SameAs(const std::string& path) const {
    struct stat open_file;
    struct stat named;
    return fstat(fd_.get(), &open_file) == 0 &&
           stat(path.c_str(), &named) == 0 &&
           open_file.st_ino == named.st_ino && open_file.st_dev == named.st_dev;
  }

 private:
  UniqueFd fd_;
  std::string buffer_;
  size_t begin_ = 0;     // of the next line in it
  size_t searched_ = 0;  // no newline before
};

// Oldest first; the one that is written now is the last.
StatusOr<std::vector<LogFile>> OpenAll(const std::string& path) {
  std::vector<LogFile> files;
  int oldest = 0;
  while (oldest < kMaxRotated &&
         access((path + "." + std::to_string(oldest + 1)).c_str(), F_OK) == 0) {
    ++oldest;
  }
  for (int i = oldest; i >= 0; --i) {
    StatusOr<UniqueFd> file =
        OpenFile(i == 0 ? path : path + "." + std::to_string(i), O_RDONLY);
    if (IsNotFound(file.status())) continue;
    RETURN_IF_ERROR(file.status());
    files.emplace_back(*std::move(file));
  }
  return files;
}

class Reading {
 public:
  Reading(const Context& ctx, const std::string& path, const LogQuery& query,
          const std::function<bool()>& alive,
          const std::function<Status(const LogEntry&)>& sink)
      : ctx_(ctx), path_(path), query_(query), alive_(alive), sink_(sink) {}

  Status Run() {
    if (query_.follow) Watch();
    ASSIGN_OR_RETURN(std::vector<LogFile> files, OpenAll(path_));
    if (query_.tail >= 0) RETURN_IF_ERROR(SkipToTail(files));
    for (LogFile& file : files) RETURN_IF_ERROR(Drain(file));
    if (!query_.follow || past_until_) return OkStatus();
    std::optional<LogFile> current;
    if (!files.empty()) current.emplace(std::move(files.back()));
    return Follow(current);
  }

 private:
  void Watch() {
    inotify_.reset(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    const std::string directory = path_.substr(0, path_.rfind('/'));
    // Without a watch it still goes on, by looking again now and then.
    (void)inotify_add_watch(inotify_.get(), directory.c_str(),
                            IN_MODIFY | IN_CREATE | IN_MOVED_TO);
  }

  // Counts first, as even the tail may be more than memory holds.
  Status SkipToTail(std::vector<LogFile>& files) {
    counting_ = true;
    for (LogFile& file : files) RETURN_IF_ERROR(Drain(file));
    counting_ = past_until_ = false;
    skip_ = std::max<int64_t>(counted_ - query_.tail, 0);
    for (LogFile& file : files) RETURN_IF_ERROR(file.Rewind());
    return OkStatus();
  }

  Status Drain(LogFile& file) {
    std::string line;
    while (!past_until_) {
      RETURN_IF_ERROR(ctx_.Check());
      ASSIGN_OR_RETURN(const bool more, file.Next(line));
      if (!more) break;
      const std::optional<LogEntry> entry = ParseLogLine(line);
      if (entry.has_value()) RETURN_IF_ERROR(Take(*entry));
    }
    return OkStatus();
  }

  Status Take(const LogEntry& entry) {
    if (query_.until > 0 && entry.time > query_.until) {
      past_until_ = true;
      return OkStatus();
    }
    if (entry.time < query_.since) return OkStatus();
    if (!(entry.from_stderr ? query_.want_stderr : query_.want_stdout)) {
      return OkStatus();
    }
    if (counting_) {
      ++counted_;
      return OkStatus();
    }
    if (skip_ > 0) {
      --skip_;
      return OkStatus();
    }
    return sink_(entry);
  }

  Status Follow(std::optional<LogFile>& current) {
    while (true) {
      // Asked before the last look, so that nothing written before is missed.
      const bool alive = alive_();
      if (current.has_value()) RETURN_IF_ERROR(Drain(*current));
      if (past_until_) return OkStatus();
      if (!current.has_value() || !current->SameAs(path_)) {
        StatusOr<UniqueFd> next = OpenFile(path_, O_RDONLY);
        if (next.ok()) {
          // What was written to the old one between our look and its renaming.
          if (current.has_value()) RETURN_IF_ERROR(Drain(*current));
          current.emplace(*std::move(next));
          continue;
        }
      }
      if (!alive || (query_.until > 0 && Now() > query_.until)) {
        return OkStatus();
      }
      RETURN_IF_ERROR(Await());
    }
  }

  Status Await() {
    pollfd polled[] = {{inotify_.get(), POLLIN, 0},
                       {ctx_.cancel_fd(), POLLIN, 0}};
    poll(polled, 2, kLookAgainMs);
    char events[4096];
    while (read(inotify_.get(), events, sizeof(events)) > 0) {
    }
    return ctx_.Check();
  }

  const Context& ctx_;
  const std::string& path_;
  const LogQuery& query_;
  const std::function<bool()>& alive_;
  const std::function<Status(const LogEntry&)>& sink_;
  UniqueFd inotify_;
  bool counting_ = false;
  int64_t counted_ = 0;
  int64_t skip_ = 0;  // entries before the tail
  bool past_until_ = false;
};

}  // namespace

Status ReadLog(const Context& ctx, const std::string& path,
               const LogQuery& query, const std::function<bool()>& alive,
               const std::function<Status(const LogEntry&)>& sink) {
  if (path.empty()) return OkStatus();
  return Reading(ctx, path, query, alive, sink).Run();
}

}  // namespace berth::docker
