#include "shim/process/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "base/strings.h"
#include "base/sys/file.h"
#include "shim/process/log_compressor.h"

namespace berth::shim {
namespace {

// What one Write may gather before it goes to the file.
constexpr size_t kBatch = 32 * 1024;
constexpr uint64_t kMostLine = 1 << 20;
constexpr size_t kMostAttributes = 64 << 10;
// What a file may grow beyond its limit, or as much as its limit, while a
// follower has not read the file before.
constexpr uint64_t kGrowth = 256 * 1024;

const char* StreamName(LogWriter::Stream stream) {
  return stream == LogWriter::Stream::kStdout ? "stdout" : "stderr";
}

// The directory of the log is kubelet's or ours, but a container may be able
// to write there and leave anything in the log's place: a link to a file of
// the host, a fifo or a device, of which the open alone can block or act.
StatusOr<UniqueFd> OpenRegularFile(const std::string& path, mode_t mode) {
  constexpr int kFlags = O_WRONLY | O_APPEND;
  auto made =
      OpenFile(path, kFlags | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY, mode);
  if (ErrnoOf(made.status()) != EEXIST) return made;
  // Looked at before it is opened, by a descriptor that stands for one inode.
  ASSIGN_OR_RETURN(const UniqueFd there, OpenFile(path, O_PATH | O_NOFOLLOW));
  ASSIGN_OR_RETURN(const struct stat info, StatFd(there.get()));
  // What a container without a log has.
  const bool null = S_ISCHR(info.st_mode) && info.st_rdev == makedev(1, 3);
  if (!S_ISREG(info.st_mode) && !null) {
    return FailedPrecondition(Quoted(path) + " is not a regular file");
  }
  return OpenFile("/proc/self/fd/" + std::to_string(there.get()), kFlags);
}

StatusOr<UniqueFd> OpenAppending(const LogTarget& target) {
  const mode_t mode = target.format == LogFormat::kRaw ? 0644 : 0640;
  auto file = OpenRegularFile(target.path, mode);
  if (IsNotFound(file.status())) {
    const std::string folder = target.path.substr(0, target.path.rfind('/'));
    RETURN_IF_ERROR_AS(MakeDirectories(folder, 0755), "open log");
    file = OpenRegularFile(target.path, mode);
  }
  RETURN_IF_ERROR_AS(file.status(), "open log");
  return file;
}

uint64_t SizeOf(int file) {
  struct stat status {};
  return fstat(file, &status) == 0 ? static_cast<uint64_t>(status.st_size) : 0;
}

// The length of the UTF-8 sequence that `text` begins with; 0 if none does.
size_t SequenceLength(std::string_view text) {
  const auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto follows = [&](size_t i, unsigned low, unsigned high) {
    return byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1, 0x80, 0xbf) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const unsigned low = first == 0xe0 ? 0xa0 : 0x80;
    const unsigned high = first == 0xed ? 0x9f : 0xbf;  // no surrogates
    return follows(1, low, high) && follows(2, 0x80, 0xbf) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const unsigned low = first == 0xf0 ? 0x90 : 0x80;
    const unsigned high = first == 0xf4 ? 0x8f : 0xbf;
    return follows(1, low, high) && follows(2, 0x80, 0xbf) &&
                   follows(3, 0x80, 0xbf)
               ? 4
               : 0;
  }
  return 0;
}

std::string JsonString(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const unsigned char c = static_cast<unsigned char>(text[0]);
    const size_t length = SequenceLength(text);
    if (c == '"' || c == '\\') {
      out += {'\\', static_cast<char>(c)};
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c < 0x20 || c == 0x7f) {
      char escape[8];
      snprintf(escape, sizeof(escape), "\\u%04x", c);
      out += escape;
    } else if (length == 0) {
      out += "\\ufffd";
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out + "\"";
}

// "NAME:VALUE" in hexadecimal, behind the attributes that are there.
Status AddAttribute(std::string_view text, LogTarget& target) {
  const size_t colon = std::min(text.find(':'), text.size());
  if (colon == text.size()) return InvalidArgument("no value");
  ASSIGN_OR_RETURN(const std::string name, FromHex(text.substr(0, colon)));
  ASSIGN_OR_RETURN(const std::string value, FromHex(text.substr(colon + 1)));
  std::string& all = target.attrs;
  if (!all.empty()) all.pop_back();
  all += all.empty() ? "{" : ",";
  all += JsonString(name) + ":" + JsonString(value) + "}";
  if (all.size() > kMostAttributes) return InvalidArgument("too much");
  return OkStatus();
}

Status ApplyOption(const std::string& option, LogTarget& target) {
  const size_t equals = option.find('=');
  const std::string name = option.substr(0, equals);
  const std::string value =
      equals == std::string::npos ? "" : option.substr(equals + 1);
  const std::optional<uint64_t> number = ParseUint(value);
  if (name == "format" && value == "cri") {
    target.format = LogFormat::kCri;
  } else if (name == "format" && value == "json-file") {
    target.format = LogFormat::kJsonFile;
  } else if (name == "max-size" && number) {
    target.max_size = *number;
  } else if (name == "max-file" && number && *number > 0 && *number <= 1000) {
    target.max_files = static_cast<uint32_t>(*number);
  } else if (name == "compress" && value == "1") {
    target.compress = true;
  } else if (name == "line" && number && *number > 0 && *number <= kMostLine) {
    target.max_line = static_cast<size_t>(*number);
  } else if (name == "attr") {
    RETURN_IF_ERROR_AS(AddAttribute(value, target), "log option attr");
  } else if (name == "syslog") {
    ASSIGN_OR_RETURN_AS(target.forward, ParseSyslog(value),
                        "log option syslog");
  } else if (name == "journal") {
    ASSIGN_OR_RETURN_AS(target.forward, ParseJournal(value),
                        "log option journal");
  } else {
    return InvalidArgument("log option " + Quoted(option));
  }
  return OkStatus();
}

}  // namespace

StatusOr<LogTarget> ParseLogUri(const std::string& uri) {
  const size_t scheme_end = uri.find("://");
  const std::string scheme = uri.substr(0, scheme_end);
  if (scheme_end == std::string::npos ||
      (scheme != "berth-log" && scheme != "file")) {
    return InvalidArgument("not a log: " + Quoted(uri));
  }
  LogTarget target;
  std::string rest = uri.substr(scheme_end + 3);
  if (scheme == "berth-log") {
    const size_t question = rest.rfind('?');  // a path may hold one
    if (question == std::string::npos) {
      return InvalidArgument("no format in " + Quoted(uri));
    }
    for (const std::string& option : Split(rest.substr(question + 1), '&')) {
      RETURN_IF_ERROR_AS(ApplyOption(option, target), Quoted(uri));
    }
    if (target.format == LogFormat::kRaw) {
      return InvalidArgument("no format in " + Quoted(uri));
    }
    rest.resize(question);
  }
  if (!StartsWith(rest, "/") || rest.find('\0') != std::string::npos) {
    return InvalidArgument("log path is not absolute in " + Quoted(uri));
  }
  target.path = rest;
  return target;
}

StatusOr<std::shared_ptr<LogWriter>> LogWriter::Open(const LogTarget& target) {
  ASSIGN_OR_RETURN(UniqueFd file, OpenAppending(target));
  if (target.compress) RemoveParts(target.path);
  const uint64_t size = SizeOf(file.get());
  const std::shared_ptr<LogWriter> writer(
      new LogWriter(target, std::move(file), size));
  if (target.forward.kind != ForwardTarget::Kind::kNone) {
    ASSIGN_OR_RETURN(writer->forwarder_, LogForwarder::Open(target.forward));
  }
  return writer;
}

void LogWriter::Write(Stream stream, std::string_view bytes, UnixNanos now) {
  if (target_.format == LogFormat::kRaw) {
    Put(bytes);
    Flush();
    return;
  }
  const std::string time = FormatRfc3339(now);
  std::string& begun = unfinished_[static_cast<int>(stream)];
  while (!bytes.empty()) {
    const size_t newline = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, newline);
    const size_t room = target_.max_line - begun.size();
    if (piece.size() > room) {
      begun += piece.substr(0, room);
      AddRecord(stream, begun, false, time);
      begun.clear();
      bytes.remove_prefix(room);
    } else if (newline == std::string_view::npos) {
      begun += piece;
      bytes = {};
    } else {
      if (begun.empty()) {
        AddRecord(stream, piece, true, time);
      } else {
        begun += piece;
        AddRecord(stream, begun, true, time);
        begun.clear();
      }
      bytes.remove_prefix(newline + 1);
    }
  }
  if (begun.empty()) std::string().swap(begun);
  Flush();
}

void LogWriter::Finish(Stream stream, UnixNanos now) {
  std::string& begun = unfinished_[static_cast<int>(stream)];
  if (begun.empty()) return;
  AddRecord(stream, begun, false, FormatRfc3339(now));
  std::string().swap(begun);
  Flush();
}

void LogWriter::AddRecord(Stream stream, std::string_view text, bool full,
                          const std::string& time) {
  std::string record;
  if (target_.format == LogFormat::kCri) {
    if (full && EndsWith(text, "\r")) text.remove_suffix(1);
    record.reserve(time.size() + 10 + text.size() + 1);
    record += time;
    record += ' ';
    record += StreamName(stream);
    record += full ? " F " : " P ";
    record += text;
    record += '\n';
  } else {
    std::string line(text);
    if (full) line += '\n';
    record = "{\"log\":" + JsonString(line) + ",\"stream\":\"" +
             StreamName(stream) + "\"," +
             (target_.attrs.empty() ? "" : "\"attrs\":" + target_.attrs + ",") +
             "\"time\":\"" + time + "\"}\n";
  }
  Put(record);
  if (forwarder_ != nullptr) {
    forwarder_->Send(stream == Stream::kStderr, text, full, time);
  }
}

void LogWriter::Put(std::string_view bytes) {
  const uint64_t pending = size_ + batch_.size();
  if (target_.max_size > 0 && pending > 0 &&
      pending + bytes.size() > target_.max_size) {
    Flush();
    // Nothing got into it: the disk may be full.
    if (size_ > 0) Rotate();
  }
  batch_ += bytes;
  if (batch_.size() >= kBatch) Flush();
}

void LogWriter::Flush() {
  std::string_view rest = batch_;
  while (!rest.empty()) {
    const ssize_t n =
        TEMP_FAILURE_RETRY(write(file_.get(), rest.data(), rest.size()));
    if (n <= 0) {
      dropped_ += rest.size();
      break;
    }
    size_ += static_cast<uint64_t>(n);
    rest.remove_prefix(static_cast<size_t>(n));
  }
  // Not kept: between bursts a container's log costs no memory.
  std::string().swap(batch_);
}

// A follower of the log (docker logs -f) holds the file that it reads. While
// it is still in the file that was deleted last, the next one is not deleted.
bool LogWriter::AwaitsFollower() {
  const uint64_t most = target_.max_size + std::max(target_.max_size, kGrowth);
  if (size_ >= most) deleted_.reset();
  return IsHeld();
}

bool LogWriter::IsHeld() {
  if (!deleted_.valid()) return false;
  if (flock(deleted_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return true;
  }
  deleted_.reset();
  return false;
}

void LogWriter::ShiftNames() {
  const UniqueFd lock =
      target_.compress ? LockLogNames(target_.path) : UniqueFd();
  const auto name = [&](uint32_t index) {
    return target_.path + (index == 0 ? "" : "." + std::to_string(index));
  };
  const std::string oldest = name(target_.max_files - 1);
  const auto look = [this](const std::string& path) {
    deleted_.reset(
        open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  };
  look(oldest);
  if (target_.compress) {
    if (!IsHeld()) look(oldest + ".gz");
    unlink(oldest.c_str());
    unlink((oldest + ".gz").c_str());
  }
  for (uint32_t i = target_.max_files - 1; i > 0; --i) {
    rename(name(i - 1).c_str(), name(i).c_str());
    if (target_.compress && i > 1) {
      rename((name(i - 1) + ".gz").c_str(), (name(i) + ".gz").c_str());
    }
  }
}

// One at a time: a container may write faster than a log is compressed. What is
// plain until then is compressed after the next rotation, or is as good so.
void LogWriter::Compress() {
  if (compressor_.valid()) {
    pollfd ended{compressor_.get(), POLLIN, 0};
    if (poll(&ended, 1, 0) == 0) return;
  }
  StatusOr<UniqueFd> begun = CompressRotated(target_.path, target_.max_files);
  compressor_ = begun.ok() ? *std::move(begun) : UniqueFd();
}

// If a new file cannot be made, the old one goes on under its next name, and
// no name is shifted any more until there is a new one.
void LogWriter::Rotate() {
  if (!shifted_ && AwaitsFollower()) return;
  const std::string& path = target_.path;
  if (target_.max_files == 1) {
    if (unlink(path.c_str()) != 0 && errno != ENOENT) return;
    UniqueFd last = std::move(file_);
    Status made = Reopen();
    (made.ok() ? deleted_ : file_) = std::move(last);
  } else {
    if (!shifted_) {
      // It is not compressed under its next name while it is written.
      (void)flock(file_.get(), LOCK_SH | LOCK_NB);
      ShiftNames();
      shifted_ = true;
    }
    if (Reopen().ok() && target_.compress) Compress();
  }
  (void)IsHeld();  // else its room is given back at once
}

Status LogWriter::Reopen() {
  ASSIGN_OR_RETURN(UniqueFd file, OpenAppending(target_));
  file_ = std::move(file);
  shifted_ = false;
  size_ = SizeOf(file_.get());
  return OkStatus();
}

}  // namespace berth::shim
