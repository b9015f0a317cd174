#ifndef OCI_INIT_LISTENER_POST_H_
#define OCI_INIT_LISTENER_POST_H_

#include <sys/types.h>

#include <functional>
#include <string>

#include "base/status.h"
#include "oci/init/handshake.h"

namespace berth::oci {

// How the listener of a filter gets from the process that has loaded it to who
// listens at linux.seccomp.listenerPath, before the filter is met by anything
// but read(2) and write(2):
//
//   process   load the filter; write the descriptor's number; read
//   runtime   take the descriptor (pidfd_getfd); connect, send it; write
//
// Made by the runtime before the process is, so that both have it.
// Single-threaded. Source: config-linux.md, "The Container Process State".
class ListenerPost {
 public:
  // `message` is what is sent along, for a process of this pid.
  static StatusOr<ListenerPost> Make(std::string listener_path,
                                     std::function<std::string(pid_t)> message);

  // By the process.
  int process_fd() const { return process_.fd(); }
  Status Give(int listener) const;

  // By the runtime, when the process is born: so that it hears of its end.
  void CloseProcessEnd() { process_.Close(); }
  // Waits for the process's word and answers it; also OK if the process is
  // gone without one, which is for others to explain. `pid` is asked then.
  Status Pass(const std::function<pid_t()>& pid) const;

 private:
  ListenerPost() = default;
  Status Send(pid_t pid, int number) const;

  std::string listener_path_;
  std::function<std::string(pid_t)> message_;
  Handshake runtime_;
  Handshake process_;
};

// "{...}", the container process state: `state` is the state JSON.
std::string ListenerMessage(const std::string& oci_version, pid_t pid,
                            const std::string& metadata,
                            const std::string& state);

}  // namespace berth::oci

#endif  // OCI_INIT_LISTENER_POST_H_
