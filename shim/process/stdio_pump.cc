#include "shim/process/stdio_pump.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace berth::shim {
namespace {

// One for all streams: the shim has one thread, and no byte stays in here.
char g_buffer[16 * 1024];

// At an exit no more than this is read at once; a pipe holds 64 KiB.
constexpr int kMaxReadsNow = 64;

// A pty's master is told of once: while nobody has the pty open it hangs up for
// as long as that lasts, and a loop that was told each time would spin.
uint32_t EventsOf(bool terminal, uint32_t events) {
  return terminal ? events | EPOLLET : events;
}

}  // namespace

OutputPump::~OutputPump() {
  Unwatch();
  for (const Fifo& fifo : fifos_) loop_.Remove(fifo.fd.get());
}

void OutputPump::AddLog(std::shared_ptr<LogWriter> log,
                        LogWriter::Stream stream) {
  log_ = std::move(log);
  stream_ = stream;
}

Status OutputPump::AddFifo(UniqueFd fd) {
  if (closed_ || ended_) return FailedPrecondition("the stream has ended");
  Fifo& fifo = fifos_.emplace_back();
  fifo.fd = std::move(fd);
  // With no event asked for, epoll still tells when the reader goes.
  const Status watched = loop_.Add(
      fifo.fd.get(), 0, [this, at = &fifo](uint32_t e) { OnFifo(at, e); });
  if (!watched.ok()) fifos_.pop_back();
  return watched;
}

void OutputPump::AddFile(UniqueFd file, uint64_t limit) {
  file_ = std::move(file);
  file_limit_ = limit;
}

Status OutputPump::SetSource(UniqueFd source, bool terminal) {
  source_ = std::move(source);
  terminal_ = terminal;
  Watch();
  return watching_ ? OkStatus() : Internal("cannot watch an output stream");
}

void OutputPump::Watch() {
  if (watching_ || !source_.valid()) return;
  watching_ = loop_
                  .Add(source_.get(), EventsOf(terminal_, EPOLLIN),
                       [this](uint32_t) { OnSource(); })
                  .ok();
}

// What is left of a terminal's output after a read is told of again.
void OutputPump::WatchAgain() {
  if (!terminal_ || !watching_) return;
  loop_.Modify(source_.get(), EventsOf(true, EPOLLIN)).IgnoreError();
}

void OutputPump::Unwatch() {
  if (watching_) loop_.Remove(source_.get());
  watching_ = false;
}

void OutputPump::OnSource() {
  if (ReadOnce() == Got::kSome) WatchAgain();
}

OutputPump::Got OutputPump::ReadOnce() {
  const ssize_t n =
      TEMP_FAILURE_RETRY(read(source_.get(), g_buffer, sizeof(g_buffer)));
  if (n < 0 && errno == EAGAIN) return Got::kNothing;
  // The last user of the pty has closed it, and may open it again.
  if (n < 0 && errno == EIO && terminal_ && !exited_) return Got::kNothing;
  if (n <= 0) {
    End();
    return Got::kEnd;
  }
  Distribute({g_buffer, static_cast<size_t>(n)});
  return Got::kSome;
}

void OutputPump::ReadNow() {
  exited_ = true;
  for (int i = 0; i < kMaxReadsNow && source_.valid() && !Blocked(); ++i) {
    if (ReadOnce() != Got::kSome) return;
  }
  WatchAgain();
}

void OutputPump::Distribute(std::string_view bytes) {
  if (log_ != nullptr) log_->Write(stream_, bytes, Now());
  if (file_.valid()) {
    const std::string_view kept =
        bytes.substr(0, file_limit_ - std::min(file_bytes_, file_limit_));
    if (!kept.empty()) {
      const ssize_t n = pwrite(file_.get(), kept.data(), kept.size(),
                               static_cast<off_t>(file_bytes_));
      if (n > 0) file_bytes_ += static_cast<uint64_t>(n);
    }
  }
  for (auto fifo = fifos_.begin(); fifo != fifos_.end();) {
    Fifo& each = *fifo++;  // may be forgotten
    each.pending.append(bytes);
    WriteFifo(each);
  }
  if (Blocked()) Unwatch();
}

bool OutputPump::Blocked() const {
  return std::any_of(fifos_.begin(), fifos_.end(),
                     [](const Fifo& fifo) { return !fifo.pending.empty(); });
}

void OutputPump::WriteFifo(Fifo& fifo) {
  size_t written = 0;
  while (written < fifo.pending.size()) {
    const ssize_t n = write(fifo.fd.get(), fifo.pending.data() + written,
                            fifo.pending.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) return Forget(&fifo);
    if (n < 0) break;
    written += static_cast<size_t>(n);
  }
  fifo.pending.erase(0, written);
  if (fifo.pending.empty()) std::string().swap(fifo.pending);
  const bool wants_room = !fifo.pending.empty();
  if (wants_room == fifo.watched_for_room) return;
  fifo.watched_for_room = wants_room;
  const uint32_t events = wants_room ? uint32_t{EPOLLOUT} : 0;
  loop_.Modify(fifo.fd.get(), events).IgnoreError();
}

void OutputPump::OnFifo(Fifo* fifo, uint32_t events) {
  if ((events & EPOLLERR) != 0) {
    Forget(fifo);
  } else if ((events & EPOLLOUT) != 0) {
    WriteFifo(*fifo);
  }
  if (Blocked()) return;
  if (ended_) return Close();
  Watch();
}

void OutputPump::Forget(Fifo* fifo) {
  loop_.Remove(fifo->fd.get());
  fifos_.remove_if([&](const Fifo& each) { return &each == fifo; });
}

void OutputPump::End() {
  Unwatch();
  source_.reset();
  ended_ = true;
  if (log_ != nullptr) log_->Finish(stream_, Now());
  if (!Blocked()) Close();
}

void OutputPump::DropFifos() {
  for (const Fifo& fifo : fifos_) loop_.Remove(fifo.fd.get());
  fifos_.clear();
  if (ended_) return Close();
  Watch();
}

void OutputPump::Close() {
  if (closed_) return;
  closed_ = true;
  Unwatch();
  source_.reset();
  if (!ended_ && log_ != nullptr) log_->Finish(stream_, Now());
  for (const Fifo& fifo : fifos_) loop_.Remove(fifo.fd.get());
  fifos_.clear();
  log_.reset();
  file_.reset();
  if (const auto action = std::exchange(on_closed_, nullptr)) {
    loop_.Defer(action);
  }
}

InputPump::~InputPump() { Close(); }

Status InputPump::AddSource(UniqueFd fifo, UniqueFd hold) {
  first_ = fifo.get();
  hold_ = std::move(hold);
  sources_.push_back(std::move(fifo));
  return OkStatus();  // read from when there is a target
}

Status InputPump::AddAttached(UniqueFd fifo) {
  if (!target_.valid() || closing_) {
    return FailedPrecondition("standard input is closed");
  }
  const int fd = fifo.get();
  sources_.push_back(std::move(fifo));
  if (!pending_.empty()) return OkStatus();  // Resume will watch it
  return loop_.Add(fd, EPOLLIN, [this, fd](uint32_t) { Read(fd); });
}

Status InputPump::SetTarget(UniqueFd target, bool terminal) {
  target_ = std::move(target);
  terminal_ = terminal;
  // Tells when the process has closed its end.
  RETURN_IF_ERROR(loop_.Add(target_.get(), EventsOf(terminal_, 0),
                            [this](uint32_t events) { OnTarget(events); }));
  Resume();
  return OkStatus();
}

void InputPump::OnTarget(uint32_t events) {
  if ((events & EPOLLERR) != 0) return Close();
  // A pty that hangs up will make no room.
  if ((events & (EPOLLOUT | EPOLLHUP)) != 0) Write();
}

void InputPump::Read(int fifo) {
  char bytes[4096];
  const ssize_t n = read(fifo, bytes, sizeof(bytes));
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return Drop(fifo);
  pending_.assign(bytes, static_cast<size_t>(n));
  Write();
}

void InputPump::Write() {
  while (!pending_.empty()) {
    const ssize_t n = write(target_.get(), pending_.data(), pending_.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return Pause();
    if (n < 0 && errno == EIO && terminal_) {
      pending_.clear();
      break;
    }
    if (n < 0) return Close();
    pending_.erase(0, static_cast<size_t>(n));
  }
  if (closing_) return Close();
  if (!waits_for_room_) return;
  waits_for_room_ = false;
  loop_.Modify(target_.get(), EventsOf(terminal_, 0)).IgnoreError();
  Resume();
}

void InputPump::Pause() {
  if (waits_for_room_) return;
  waits_for_room_ = true;
  for (const UniqueFd& source : sources_) loop_.Remove(source.get());
  loop_.Modify(target_.get(), EventsOf(terminal_, EPOLLOUT)).IgnoreError();
}

void InputPump::Resume() {
  for (const UniqueFd& source : sources_) {
    const int fd = source.get();
    loop_.Add(fd, EPOLLIN, [this, fd](uint32_t) { Read(fd); }).IgnoreError();
  }
}

void InputPump::Drop(int fifo) {
  loop_.Remove(fifo);
  std::erase_if(sources_,
                [&](const UniqueFd& each) { return each.get() == fifo; });
  if (fifo != first_) return;
  first_ = -1;
  closing_ = true;
  if (pending_.empty()) Close();
}

void InputPump::Close() {
  for (const UniqueFd& source : sources_) loop_.Remove(source.get());
  sources_.clear();
  if (target_.valid()) loop_.Remove(target_.get());
  target_.reset();
  hold_.reset();
  pending_.clear();
  closing_ = true;
}

}  // namespace berth::shim
