#ifndef SHIM_PROCESS_STDIO_H_
#define SHIM_PROCESS_STDIO_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/io/event_loop.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "shim/process/log_writer.h"
#include "shim/process/runtime.h"
#include "shim/process/stdio_pump.h"
#include "shim/shim.h"

namespace berth::shim {

// Of the pipes of a process: io_uid, io_gid of the options. -1: the shim's own.
struct PipeOwner {
  uid_t uid = static_cast<uid_t>(-1);
  gid_t gid = static_cast<gid_t>(-1);
};

// The three streams of one process, from the URIs that a client gave to the
// descriptors that the process gets, and everything between.
//
//   Open(uris) --> ProcessFds for the runtime, or fifos for another shim
//   Begin(console)          the process exists
//   ReadNow()               the process has exited
//   WhenClosed(), Close()   before it is forgotten
//
// A stream without URI is /dev/null. A fifo for output is opened for reading
// too, so that its client may come and go; one that joins by Attach is
// forgotten when its reader goes. Held by shared_ptr, always.
// Single-threaded.
class ProcessStdio : public std::enable_shared_from_this<ProcessStdio> {
 public:
  // Where ExecSync puts its output: instead of URIs.
  struct Files {
    std::string out;
    std::string err;
    uint64_t limit = 0;  // bytes of each
  };

  explicit ProcessStdio(EventLoop& loop, PipeOwner owner = {});
  ~ProcessStdio();
  ProcessStdio(const ProcessStdio&) = delete;
  ProcessStdio& operator=(const ProcessStdio&) = delete;

  StatusOr<ProcessFds> Open(const Stdio& uris);
  StatusOr<ProcessFds> OpenFiles(const Files& files);
  // For a process that another shim holds: instead of descriptors, fifos in
  // `directory` for that shim to write to. Begin follows, without a console.
  // What the other shim reads its input from does not end before CloseStdin.
  StatusOr<Stdio> OpenFifos(const Stdio& uris, const std::string& directory);
  // `console` is the pty's master; invalid without a terminal.
  Status Begin(UniqueFd console);

  Status Attach(const Stdio& fifos);
  void CloseStdin();
  Status Resize(TerminalSize size);
  Status ReopenLog();  // OK if there is none
  // Its clients will not come back: the input ends, and output without a log
  // is read and dropped, so that the process is not held back.
  void LetGo();

  void ReadNow();
  // Calls `action` (from the loop) when both outputs have ended, or `limit`
  // has passed: then they are cut off. If somebody waits already, with his
  // limit.
  void WhenClosed(Duration limit, std::function<void()> action);
  void Close();

  uint64_t out_bytes() const { return out_->file_bytes(); }
  uint64_t err_bytes() const { return err_->file_bytes(); }

 private:
  StatusOr<UniqueFd> OpenOutput(const std::string& uri,
                                LogWriter::Stream stream, OutputPump& pump,
                                UniqueFd& source, bool terminal);
  Status AddSink(const std::string& uri, LogWriter::Stream stream,
                 OutputPump& pump);
  StatusOr<UniqueFd> OpenInput(const std::string& uri, bool terminal);
  StatusOr<UniqueFd> ProcessPipe(UniqueFd& ours, bool process_reads) const;
  void CheckClosed();

  EventLoop& loop_;
  const PipeOwner owner_;
  LogTarget log_target_;
  std::shared_ptr<LogWriter> log_;
  std::unique_ptr<OutputPump> out_;
  std::unique_ptr<OutputPump> err_;
  std::unique_ptr<InputPump> in_;
  UniqueFd out_source_, err_source_, in_target_;  // until Begin
  UniqueFd console_;
  bool terminal_ = false;
  bool reads_out_ = false;
  bool reads_err_ = false;
  EventLoop::TimerId limit_ = 0;
  std::vector<std::function<void()>> when_closed_;
};

}  // namespace berth::shim

#endif  // SHIM_PROCESS_STDIO_H_
