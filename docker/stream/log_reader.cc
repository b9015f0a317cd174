#include "docker/stream/log_reader.h"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <map>
#include <utility>
#include <vector>

#include "base/http/http_client.h"
#include "base/json.h"
#include "base/rfc3339.h"
#include "base/strings.h"
#include "base/unique_fd.h"
#include "docker/stream/log_file.h"

namespace berth::docker {
namespace {

// Rotations while a follower begins, before it goes on as it is.
constexpr int kMaxTries = 50;
// How often a follower looks whether the writer is still there.
constexpr int kLookAgainMs = 200;

// As Go's url.QueryEscape writes it.
std::string Escaped(const std::string& text) {
  std::string escaped = UrlEncode(text);
  for (size_t at; (at = escaped.find("%20")) != std::string::npos;) {
    escaped.replace(at, 3, "+");
  }
  return escaped;
}

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
  std::map<std::string, std::string> attributes;
  reader.Get("attrs", attributes);
  const std::optional<UnixNanos> when = ParseRfc3339(time);
  if (!reader.status().ok() || !when.has_value()) return std::nullopt;
  entry.time = *when;
  entry.from_stderr = stream == "stderr";
  for (const auto& [name, value] : attributes) {
    if (!entry.details.empty()) entry.details += ',';
    entry.details += Escaped(name) + "=" + Escaped(value);
  }
  return entry;
}

}  // namespace

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

class Reading {
 public:
  Reading(const Context& ctx, const std::string& path, const LogQuery& query,
          const std::function<bool()>& alive,
          const std::function<Status(const LogEntry&)>& sink)
      : ctx_(ctx), path_(path), query_(query), alive_(alive), sink_(sink) {}

  Status Run() {
    if (query_.follow) Watch();
    ASSIGN_OR_RETURN(std::vector<LogFile> files, OpenLog(ctx_, path_));
    std::optional<LogFile> current;
    if (query_.follow) {
      RETURN_IF_ERROR(HoldNewest(files));
      if (!files.empty()) files.back().Unbound();
    }
    if (query_.tail >= 0) RETURN_IF_ERROR(SkipToTail(files));
    for (LogFile& file : files) {
      // The one before gives its room on the disk back.
      current.emplace(std::move(file));
      RETURN_IF_ERROR(Drain(*current));
    }
    if (!query_.follow || past_until_) return OkStatus();
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

  // What is rotated from now on is kept until we have read it. What came after
  // a file that was rotated before it was held may have gone: then we begin
  // anew, as a log with a hole is worse than a shorter one.
  Status HoldNewest(std::vector<LogFile>& files) {
    for (int i = 0; i < kMaxTries && !files.empty(); ++i) {
      if (files.back().Hold() && files.back().IsAt(path_)) break;
      ASSIGN_OR_RETURN(files, OpenLog(ctx_, path_));
    }
    return OkStatus();
  }

  // From the end, as the log may grow faster than it can be read.
  Status SkipToTail(std::vector<LogFile>& files) {
    int64_t wanted = query_.tail;
    size_t first = files.size();
    if (wanted == 0 && !files.empty()) {
      ASSIGN_OR_RETURN(const uint64_t end, files.back().EndOfLines());
      files.back().Seek(end);
      --first;
    }
    while (wanted > 0 && first > 0) {
      LogFile& file = files[--first];
      uint64_t begin = 0;
      RETURN_IF_ERROR(file.Backwards(
          [&](std::string_view line, uint64_t offset) -> StatusOr<bool> {
            RETURN_IF_ERROR(ctx_.Check());
            const std::optional<LogEntry> entry = ParseLogLine(line);
            if (!entry.has_value() || !IsWanted(*entry)) return true;
            begin = offset;
            return --wanted > 0;
          }));
      if (wanted == 0) file.Seek(begin);
    }
    files.erase(files.begin(), files.begin() + static_cast<int64_t>(first));
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

  bool IsWanted(const LogEntry& entry) const {
    if (query_.until > 0 && entry.time > query_.until) return false;
    if (entry.time < query_.since) return false;
    return entry.from_stderr ? query_.want_stderr : query_.want_stdout;
  }

  Status Take(const LogEntry& entry) {
    past_until_ = query_.until > 0 && entry.time > query_.until;
    return IsWanted(entry) ? sink_(entry) : OkStatus();
  }

  Status Follow(std::optional<LogFile>& current) {
    while (true) {
      // Asked before the last look, so that nothing written before is missed.
      const bool alive = alive_();
      if (current.has_value()) RETURN_IF_ERROR(Drain(*current));
      if (past_until_) return OkStatus();
      ASSIGN_OR_RETURN(std::optional<LogFile> next, Newer(current));
      if (next.has_value()) {
        // What was written to the old one between our look and its renaming.
        if (current.has_value()) RETURN_IF_ERROR(Drain(*current));
        current = std::move(next);
        continue;
      }
      if (!alive || (query_.until > 0 && Now() > query_.until)) {
        return OkStatus();
      }
      RETURN_IF_ERROR(Await());
    }
  }

  StatusOr<std::optional<LogFile>> Newer(
      const std::optional<LogFile>& current) const {
    if (current.has_value()) return OpenAfter(ctx_, *current, path_);
    ASSIGN_OR_RETURN(std::vector<LogFile> files, OpenLog(ctx_, path_));
    if (files.empty()) return std::optional<LogFile>();
    files.front().Hold();
    files.front().Unbound();
    return std::optional<LogFile>(std::move(files.front()));
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
