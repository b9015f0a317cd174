#include "sandbox/process/session_fifos.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "base/strings.h"

namespace berth::sandbox {
namespace {

Status MakeFifo(const std::string& path) {
  if (mkfifo(path.c_str(), 0600) != 0) {
    return Errno(errno, "mkfifo " + Quoted(path));
  }
  return OkStatus();
}

}  // namespace

StatusOr<UniqueFd> OpenFifoEnd(const std::string& path, int flags) {
  UniqueFd fd(open(path.c_str(), flags | O_NONBLOCK | O_CLOEXEC));
  if (!fd.valid()) return Errno(errno, "open fifo " + Quoted(path));
  // Non-blocking only so that the open itself does not wait for the peer.
  const int now = fcntl(fd.get(), F_GETFL);
  if (fcntl(fd.get(), F_SETFL, now & ~O_NONBLOCK) != 0) {
    return Errno(errno, "fcntl fifo " + Quoted(path));
  }
  return fd;
}

SessionFifos::SessionFifos(const std::string& directory)
    : base_(directory + "/io-" + RandomId().substr(0, 16)) {}

Status SessionFifos::Make(bool want_in, bool want_out, bool want_err) {
  if (want_in) {
    stdio_.in = base_ + "-in";
    RETURN_IF_ERROR(MakeFifo(stdio_.in));
    // Holds the name's pipe until the shim reads from it.
    ASSIGN_OR_RETURN(in_, OpenFifoEnd(stdio_.in, O_RDWR));
  }
  if (want_out) {
    stdio_.out = base_ + "-out";
    RETURN_IF_ERROR(MakeFifo(stdio_.out));
    ASSIGN_OR_RETURN(out_, OpenFifoEnd(stdio_.out, O_RDONLY));
  }
  if (want_err) {
    stdio_.err = base_ + "-err";
    RETURN_IF_ERROR(MakeFifo(stdio_.err));
    ASSIGN_OR_RETURN(err_, OpenFifoEnd(stdio_.err, O_RDONLY));
  }
  return OkStatus();
}

void SessionFifos::Opened() {
  if (in_.valid() && !stdio_.in.empty()) {
    StatusOr<UniqueFd> writer = OpenFifoEnd(stdio_.in, O_WRONLY);
    // A program that has ended already reads nothing.
    if (writer.ok()) in_ = *std::move(writer);
  }
  Unlink();
}

void SessionFifos::Abandon() {
  // A reader has its end when a writer has been there and has gone.
  for (const std::string* path : {&stdio_.out, &stdio_.err}) {
    if (!path->empty()) (void)OpenFifoEnd(*path, O_WRONLY);
  }
  Unlink();
}

StreamSession SessionFifos::Take(
    bool tty, std::shared_ptr<StreamSession::Control> control) {
  return StreamSession(std::move(in_), std::move(out_), std::move(err_), tty,
                       std::move(control));
}

void SessionFifos::Unlink() {
  for (const std::string* path : {&stdio_.in, &stdio_.out, &stdio_.err}) {
    if (!path->empty()) unlink(path->c_str());
  }
}

}  // namespace berth::sandbox
