// Bytes between a process and those who read and write its streams, on the
// event loop: nothing here ever blocks.
#ifndef SHIM_PROCESS_STDIO_PUMP_H_
#define SHIM_PROCESS_STDIO_PUMP_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/io/event_loop.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "shim/process/log_writer.h"

namespace berth::shim {

// One output stream of a process: from its pipe or pty to any number of sinks.
//
// A pty whose last user has closed it may be opened again: that is the end only
// after the process has exited (ReadNow).
//
// Every sink gets every byte. A fifo that is full holds the stream, and so in
// the end the process, back until its reader goes on; a fifo without reader
// is forgotten. Single-threaded.
class OutputPump {
 public:
  // `source` may still be invalid: see SetSource.
  explicit OutputPump(EventLoop& loop) : loop_(loop) {}
  ~OutputPump();
  OutputPump(const OutputPump&) = delete;
  OutputPump& operator=(const OutputPump&) = delete;

  void AddLog(std::shared_ptr<LogWriter> log, LogWriter::Stream stream);
  // A non-blocking writing end.
  Status AddFifo(UniqueFd fifo);
  // A file that takes the first `limit` bytes.
  void AddFile(UniqueFd file, uint64_t limit);

  // Begins to read. `source` is non-blocking; of a terminal the pty's master.
  Status SetSource(UniqueFd source, bool terminal = false);
  // Reads what is there already, up to a bound: for the moment when the
  // process has exited, so that its log is complete before anyone hears of it.
  void ReadNow();
  // Lets the fifos go, and what they have not taken. The stream is read on.
  void DropFifos();
  // Gives up on what the stream may still bring, and lets the sinks go.
  void Close();

  // True after the end of the stream, when all sinks have all of it.
  bool closed() const { return closed_; }
  void OnClosed(std::function<void()> action) {
    on_closed_ = std::move(action);
  }
  uint64_t file_bytes() const { return file_bytes_; }

 private:
  struct Fifo {
    UniqueFd fd;
    std::string pending;
    bool watched_for_room = false;
  };
  using Fifos = std::list<Fifo>;

  enum class Got { kSome, kNothing, kEnd };
  void OnSource();
  Got ReadOnce();
  void Distribute(std::string_view bytes);
  void WriteFifo(Fifo& fifo);
  void OnFifo(Fifo* fifo, uint32_t events);
  void Forget(Fifo* fifo);
  bool Blocked() const;
  void Watch();
  void WatchAgain();
  void Unwatch();
  void End();

  EventLoop& loop_;
  UniqueFd source_;
  bool terminal_ = false;
  bool exited_ = false;
  bool watching_ = false;
  bool ended_ = false;
  bool closed_ = false;
  std::shared_ptr<LogWriter> log_;
  LogWriter::Stream stream_ = LogWriter::Stream::kStdout;
  Fifos fifos_;
  UniqueFd file_;
  uint64_t file_limit_ = 0;
  uint64_t file_bytes_ = 0;
  std::function<void()> on_closed_;
};

// The input of a process: from any number of fifos, to its pipe or pty.
//
// The first source is the process's own: at its end (after CloseHold, and when
// its last writer has gone) the process sees the end too. Others come and go.
// Single-threaded.
class InputPump {
 public:
  explicit InputPump(EventLoop& loop) : loop_(loop) {}
  ~InputPump();
  InputPump(const InputPump&) = delete;
  InputPump& operator=(const InputPump&) = delete;

  // `hold`, a writing end of the first fifo, keeps it from ending.
  Status AddSource(UniqueFd fifo, UniqueFd hold);
  Status AddAttached(UniqueFd fifo);
  // Begins to write. `target` is non-blocking; of a terminal the pty's master.
  // What that refuses while nobody has the pty open is lost.
  Status SetTarget(UniqueFd target, bool terminal = false);
  // The same for a fifo that somebody else reads.
  void Hold(UniqueFd hold) { hold_ = std::move(hold); }
  void CloseHold() { hold_.reset(); }
  void Close();

 private:
  void OnTarget(uint32_t events);
  void Read(int fifo);
  void Write();
  void Pause();
  void Resume();
  void Drop(int fifo);

  EventLoop& loop_;
  UniqueFd target_;
  UniqueFd hold_;
  int first_ = -1;
  bool terminal_ = false;
  bool waits_for_room_ = false;
  bool closing_ = false;
  std::vector<UniqueFd> sources_;
  std::string pending_;
};

}  // namespace berth::shim

#endif  // SHIM_PROCESS_STDIO_PUMP_H_
