// What the runtime and the process that it is making say to each other.
//
//   runtime                                init (or an exec'd process)
//      |------------ clone3 -------------->|  in its cgroup, or goes there
//      |<-- kMapIds -----------------------|  only with a new user namespace
//      |------------ kGo ----------------->|
//      |                                   |  namespaces
//      |<-- kMoveDevices ------------------|  only with network devices
//      |------------ kGo ----------------->|
//      |                                   |  mounts, devices
//      |<-- kConsole + the pty's master ---|  only with a terminal
//      |<-- kRunHooks ---------------------|  only with prestart, createRuntime
//      |------------ kGo ----------------->|
//      |                                   |  pivot, ids, program found
//      |<-- kReady ------------------------|
//      |------------ kGo ----------------->|  the state is on disk
//      |                                   |  closes its end, waits for start
//
// A process that is to enter a pid namespace of others gets its kGo when it is
// ready, closes its end, and goes on as entry.h says.
//
// kError with the reason instead of any line from the right ends it, and
// kWarning may come before any of them. Either side takes the end of file for
// the other's death. SIGPIPE must be ignored by who sends. One message is one
// datagram (SOCK_SEQPACKET).
#ifndef OCI_INIT_HANDSHAKE_H_
#define OCI_INIT_HANDSHAKE_H_

#include <string>
#include <utility>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::oci {

enum class MessageType : char {
  kGo = 'g',
  kMapIds = 'm',
  kConsole = 'c',
  kMoveDevices = 'd',
  kRunHooks = 'h',
  kBorn = 'b',  // from a middle process: the pidfd of the real one, which
                // says nothing before
  kReady = 'r',
  kListener = 'l',  // of listener_post.h, on a connection of its own
  kWarning = 'w',
  kError = 'e',
  kEnd = 'z',  // the other side is gone; never sent
};

struct HandshakeMessage {
  MessageType type = MessageType::kEnd;
  std::string text;
  UniqueFd fd;
};

// One end. Single-threaded.
class Handshake {
 public:
  Handshake() = default;
  explicit Handshake(UniqueFd fd) : fd_(std::move(fd)) {}

  // Both ends, close-on-exec.
  static StatusOr<std::pair<Handshake, Handshake>> Pair();

  Status Send(MessageType type, const std::string& text = "",
              int fd = -1) const;
  Status SendError(const Status& error) const;
  // kEnd at the end of file.
  StatusOr<HandshakeMessage> Receive() const;
  // Waits for kGo; anything else means that the other side gave up.
  Status WaitForGo() const;

  int fd() const { return fd_.get(); }
  void Close() { fd_.reset(); }

 private:
  UniqueFd fd_;
};

// A status as text, code included, and back.
std::string EncodeStatus(const Status& status);
Status DecodeStatus(const std::string& text);

}  // namespace berth::oci

#endif  // OCI_INIT_HANDSHAKE_H_
