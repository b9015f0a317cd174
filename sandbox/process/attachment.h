#ifndef SANDBOX_PROCESS_ATTACHMENT_H_
#define SANDBOX_PROCESS_ATTACHMENT_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "sandbox/ids.h"
#include "sandbox/process/session_fifos.h"
#include "sandbox/process/task_table.h"
#include "sandbox/stream_session.h"

namespace berth::sandbox {

// One client at the streams of a container's first process, which need not
// exist yet: a client that attaches before Start misses no byte. Joined with
// the process either at once or by Start, after the shim has made it and
// before it runs.
//
//   made --Join--> joined        Start, or Attach to a running container
//     \---Abandon-> ended        Start failed, or the container was removed
//
// Thread-safe.
class Attachment {
 public:
  // `stdin_path`: the fifo of the process's input, existing; "" for none.
  // `closes_stdin`: CloseStdin is the end of the input.
  static StatusOr<std::shared_ptr<Attachment>> Make(
      const std::string& directory, const std::string& stdin_path, bool tty,
      bool closes_stdin);
  explicit Attachment(const std::string& directory) : fifos_(directory) {}

  // The fds; once.
  StreamSession Take(std::shared_ptr<StreamSession::Control> control);

  Status Join(const Context& ctx, std::shared_ptr<LiveTask> live);
  void Abandon();

  // Before Join it is done at Join.
  Status CloseStdin(const Context& ctx);
  // Null before Join.
  std::shared_ptr<LiveTask> live() const;

 private:
  SessionFifos fifos_;  // until Join or Abandon
  bool tty_ = false;
  bool closes_stdin_ = false;

  mutable Mutex mutex_;
  std::shared_ptr<LiveTask> live_ GUARDED_BY(mutex_);
  // Keeps what was written before Join: without it the pipe would be empty
  // again when its writer leaves.
  UniqueFd keeper_ GUARDED_BY(mutex_);
  bool close_at_join_ GUARDED_BY(mutex_) = false;
};

// The attachments that wait for their container's Start: each as long as its
// session is there, since a client may leave before. Thread-safe.
class WaitingAttachments {
 public:
  void Add(const ContainerId& id,
           const std::shared_ptr<Attachment>& attachment);
  // Whether anybody is there for Take.
  bool Any(const ContainerId& id);
  std::vector<std::shared_ptr<Attachment>> Take(const ContainerId& id);
  // Nothing will start.
  void Abandon(const ContainerId& id);

 private:
  Mutex mutex_;
  std::map<ContainerId, std::vector<std::weak_ptr<Attachment>>> waiting_
      GUARDED_BY(mutex_);
};

}  // namespace berth::sandbox

#endif  // SANDBOX_PROCESS_ATTACHMENT_H_
