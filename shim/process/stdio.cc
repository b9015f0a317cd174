#include "shim/process/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "base/sys/socket.h"

namespace berth::shim {
namespace {

StatusOr<UniqueFd> OpenFifo(const std::string& path, int flags) {
  UniqueFd fd(open(path.c_str(), flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (!fd.valid()) return Errno(errno, "open fifo " + path);
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) return Errno(errno, "fstat " + path);
  if (!S_ISFIFO(status.st_mode)) {
    return InvalidArgument(path + " is not a fifo");
  }
  return fd;
}

StatusOr<UniqueFd> OpenNull() {
  UniqueFd fd(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!fd.valid()) return Errno(errno, "open /dev/null");
  return fd;
}

// "fifo:///p" and "/p" are p; anything else is not a fifo.
StatusOr<std::string> FifoPath(const std::string& uri) {
  const std::string prefix = "fifo://";
  const std::string path =
      StartsWith(uri, prefix) ? uri.substr(prefix.size()) : uri;
  if (StartsWith(path, "/")) return path;
  return Unimplemented("stdio of the kind " + Quoted(uri) +
                       ": supported are fifos, file:// and berth-log://");
}

// A new fifo, and our end of it, which may be opened before any other.
StatusOr<UniqueFd> MakeSource(const std::string& path) {
  unlink(path.c_str());  // of an earlier run
  if (mkfifo(path.c_str(), 0600) != 0) return Errno(errno, "mkfifo " + path);
  return OpenFifo(path, O_RDONLY);
}

bool IsLog(const std::string& uri) {
  return StartsWith(uri, "berth-log://") || StartsWith(uri, "file://");
}

}  // namespace

ProcessStdio::ProcessStdio(EventLoop& loop, PipeOwner owner)
    : loop_(loop),
      owner_(owner),
      out_(std::make_unique<OutputPump>(loop)),
      err_(std::make_unique<OutputPump>(loop)),
      in_(std::make_unique<InputPump>(loop)) {}

ProcessStdio::~ProcessStdio() { loop_.CancelTimer(limit_); }

StatusOr<ProcessFds> ProcessStdio::Open(const Stdio& uris) {
  if (uris.terminal && !uris.err.empty()) {
    return InvalidArgument("a terminal has no standard error of its own");
  }
  terminal_ = uris.terminal;
  ProcessFds fds;
  fds.terminal = terminal_;
  ASSIGN_OR_RETURN(fds.in, OpenInput(uris.in, terminal_));
  ASSIGN_OR_RETURN(fds.out, OpenOutput(uris.out, LogWriter::Stream::kStdout,
                                       *out_, out_source_, terminal_));
  reads_out_ = terminal_ || !uris.out.empty();
  if (!terminal_) {
    ASSIGN_OR_RETURN(fds.err, OpenOutput(uris.err, LogWriter::Stream::kStderr,
                                         *err_, err_source_, false));
    reads_err_ = !uris.err.empty();
  }
  return fds;
}

StatusOr<ProcessFds> ProcessStdio::OpenFiles(const Files& files) {
  ProcessFds fds;
  ASSIGN_OR_RETURN(fds.in, OpenNull());
  const auto open_one = [&](const std::string& path, OutputPump& pump,
                            UniqueFd& source) -> StatusOr<UniqueFd> {
    UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
    if (!file.valid()) return Errno(errno, "open " + path);
    pump.AddFile(std::move(file), files.limit);
    return ProcessPipe(source, false);
  };
  ASSIGN_OR_RETURN(fds.out, open_one(files.out, *out_, out_source_));
  ASSIGN_OR_RETURN(fds.err, open_one(files.err, *err_, err_source_));
  reads_out_ = reads_err_ = true;
  return fds;
}

StatusOr<Stdio> ProcessStdio::OpenFifos(const Stdio& uris,
                                        const std::string& directory) {
  if (uris.terminal && !uris.err.empty()) {
    return InvalidArgument("a terminal has no standard error of its own");
  }
  Stdio fifos;
  fifos.terminal = uris.terminal;
  if (!uris.in.empty()) {
    ASSIGN_OR_RETURN(fifos.in, FifoPath(uris.in));
    ASSIGN_OR_RETURN(UniqueFd hold, OpenFifo(fifos.in, O_RDWR));
    in_->Hold(std::move(hold));
  }
  const auto open_one = [&](const std::string& uri, LogWriter::Stream stream,
                            OutputPump& pump,
                            UniqueFd& source) -> StatusOr<std::string> {
    const bool is_out = stream == LogWriter::Stream::kStdout;
    std::string path = directory + (is_out ? "/stdout" : "/stderr");
    if (!uri.empty()) RETURN_IF_ERROR(AddSink(uri, stream, pump));
    ASSIGN_OR_RETURN(source, MakeSource(path));
    return path;
  };
  ASSIGN_OR_RETURN(fifos.out, open_one(uris.out, LogWriter::Stream::kStdout,
                                       *out_, out_source_));
  reads_out_ = true;
  if (uris.terminal) return fifos;
  ASSIGN_OR_RETURN(fifos.err, open_one(uris.err, LogWriter::Stream::kStderr,
                                       *err_, err_source_));
  reads_err_ = true;
  return fifos;
}

// A pipe: one end for the process, the other, non-blocking, for us.
StatusOr<UniqueFd> ProcessStdio::ProcessPipe(UniqueFd& ours,
                                             bool process_reads) const {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return Errno(errno, "pipe2");
  UniqueFd reader(fds[0]);
  UniqueFd writer(fds[1]);
  // The process may reopen its streams through /proc/self/fd.
  if (owner_.uid != static_cast<uid_t>(-1) &&
      fchown(reader.get(), owner_.uid, owner_.gid) != 0) {
    return Errno(errno, "fchown of a pipe");
  }
  ours = std::move(process_reads ? writer : reader);
  RETURN_IF_ERROR(SetNonBlocking(ours.get()));
  return std::move(process_reads ? reader : writer);
}

StatusOr<UniqueFd> ProcessStdio::OpenInput(const std::string& uri,
                                           bool terminal) {
  if (!uri.empty()) {
    ASSIGN_OR_RETURN(const std::string path, FifoPath(uri));
    ASSIGN_OR_RETURN(UniqueFd fifo, OpenFifo(path, O_RDONLY));
    ASSIGN_OR_RETURN(UniqueFd hold, OpenFifo(path, O_WRONLY));
    RETURN_IF_ERROR(in_->AddSource(std::move(fifo), std::move(hold)));
  }
  if (terminal) return UniqueFd();
  if (uri.empty()) return OpenNull();
  return ProcessPipe(in_target_, true);
}

Status ProcessStdio::AddSink(const std::string& uri, LogWriter::Stream stream,
                             OutputPump& pump) {
  if (!IsLog(uri)) {
    ASSIGN_OR_RETURN(const std::string path, FifoPath(uri));
    ASSIGN_OR_RETURN(UniqueFd fifo, OpenFifo(path, O_RDWR));
    return pump.AddFifo(std::move(fifo));
  }
  ASSIGN_OR_RETURN(const LogTarget target, ParseLogUri(uri));
  if (log_ == nullptr) {
    ASSIGN_OR_RETURN(log_, LogWriter::Open(target));
    log_target_ = target;
  } else if (!(target == log_target_)) {
    return Unimplemented("two log files for one process: " + Quoted(uri));
  }
  pump.AddLog(log_, stream);
  return OkStatus();
}

StatusOr<UniqueFd> ProcessStdio::OpenOutput(const std::string& uri,
                                            LogWriter::Stream stream,
                                            OutputPump& pump, UniqueFd& source,
                                            bool terminal) {
  if (!uri.empty()) RETURN_IF_ERROR(AddSink(uri, stream, pump));
  if (terminal) return UniqueFd();
  if (uri.empty()) return OpenNull();
  return ProcessPipe(source, false);
}

Status ProcessStdio::Begin(UniqueFd console) {
  if (terminal_) {
    if (!console.valid()) return Internal("the runtime gave no terminal");
    console_ = std::move(console);
    RETURN_IF_ERROR(SetNonBlocking(console_.get()));
    out_source_.reset(fcntl(console_.get(), F_DUPFD_CLOEXEC, 3));
    in_target_.reset(fcntl(console_.get(), F_DUPFD_CLOEXEC, 3));
    if (!out_source_.valid() || !in_target_.valid()) {
      return Errno(errno, "duplicate the terminal");
    }
  }
  if (out_source_.valid()) {
    RETURN_IF_ERROR(out_->SetSource(std::move(out_source_), terminal_));
  }
  if (err_source_.valid()) {
    RETURN_IF_ERROR(err_->SetSource(std::move(err_source_)));
  }
  if (in_target_.valid()) {
    return in_->SetTarget(std::move(in_target_), terminal_);
  }
  return OkStatus();
}

Status ProcessStdio::Attach(const Stdio& fifos) {
  // All are opened before one is used: it works as a whole or not at all.
  UniqueFd in, out, err;
  if (!fifos.in.empty()) {
    ASSIGN_OR_RETURN(in, OpenFifo(fifos.in, O_RDONLY));
  }
  if (!fifos.out.empty() && reads_out_) {
    ASSIGN_OR_RETURN(out, OpenFifo(fifos.out, O_WRONLY));
  }
  if (!fifos.err.empty() && reads_err_) {
    ASSIGN_OR_RETURN(err, OpenFifo(fifos.err, O_WRONLY));
  }
  if (in.valid()) RETURN_IF_ERROR(in_->AddAttached(std::move(in)));
  if (out.valid()) RETURN_IF_ERROR(out_->AddFifo(std::move(out)));
  if (err.valid() && !err_->closed()) {
    RETURN_IF_ERROR(err_->AddFifo(std::move(err)));
  }
  return OkStatus();
}

void ProcessStdio::CloseStdin() { in_->CloseHold(); }

Status ProcessStdio::Resize(TerminalSize size) {
  if (!console_.valid()) return OkStatus();
  winsize window{};
  window.ws_col = static_cast<unsigned short>(std::min(size.width, 65535u));
  window.ws_row = static_cast<unsigned short>(std::min(size.height, 65535u));
  if (ioctl(console_.get(), TIOCSWINSZ, &window) != 0) {
    return Errno(errno, "set the terminal's size");
  }
  return OkStatus();
}

Status ProcessStdio::ReopenLog() {
  return log_ == nullptr ? OkStatus() : log_->Reopen();
}

void ProcessStdio::LetGo() {
  in_->CloseHold();
  out_->DropFifos();
  err_->DropFifos();
}

void ProcessStdio::ReadNow() {
  out_->ReadNow();
  err_->ReadNow();
}

void ProcessStdio::WhenClosed(Duration limit, std::function<void()> action) {
  if (when_closed_.empty()) {
    loop_.CancelTimer(limit_);
    limit_ = loop_.After(limit, [this] { Close(); });
  }
  when_closed_.push_back(std::move(action));
  const auto check = [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->CheckClosed();
  };
  out_->OnClosed(check);
  err_->OnClosed(check);
  loop_.Defer(check);
}

void ProcessStdio::CheckClosed() {
  if (when_closed_.empty()) return;
  if ((reads_out_ && !out_->closed()) || (reads_err_ && !err_->closed())) {
    return;
  }
  loop_.CancelTimer(limit_);
  for (const auto& action : std::exchange(when_closed_, {})) action();
}

void ProcessStdio::Close() {
  in_->Close();
  out_->Close();
  err_->Close();
  console_.reset();
}

}  // namespace berth::shim
