// Unix stream sockets, unix(7). All descriptors are close-on-exec. Paths of
// any length: what does not fit sun_path (108 bytes) goes through
// /proc/self/fd.
#ifndef BASE_SYS_SOCKET_H_
#define BASE_SYS_SOCKET_H_

#include <sys/types.h>

#include <string>
#include <utility>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth {

// Binds and listens. ALREADY_EXISTS if something has the name, be it a socket
// that nobody listens on any more.
StatusOr<UniqueFd> ListenUnix(const std::string& path, mode_t mode);

// UNAVAILABLE if nobody listens there, NOT_FOUND if there is no such file.
// Never waits: EAGAIN (UNAVAILABLE too) if the listener's queue is full.
StatusOr<UniqueFd> ConnectUnix(const std::string& path);

// Whether a process listens there, busy or stopped as it may be. Does not wait.
bool SomebodyListens(const std::string& path);

// The next connection, non-blocking; UNAVAILABLE if there is none.
StatusOr<UniqueFd> AcceptUnix(int listener);

StatusOr<std::pair<UniqueFd, UniqueFd>> SocketPair();

struct PeerCredentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};
StatusOr<PeerCredentials> GetPeerCredentials(int socket);

// One descriptor with one byte or more of text (SCM_RIGHTS).
Status SendFd(int socket, int fd, const std::string& text);
// Blocks unless the socket does not; UNAVAILABLE at the end of the stream.
// Descriptors beyond the first are closed. `text` may be null.
StatusOr<UniqueFd> ReceiveFd(int socket, std::string* text);

Status SetNonBlocking(int fd);

}  // namespace berth

#endif  // BASE_SYS_SOCKET_H_
