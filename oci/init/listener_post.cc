#include "oci/init/listener_post.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "base/fs/rooted_path.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/process.h"
#include "base/sys/socket.h"
#include "base/unique_fd.h"

namespace berth::oci {
namespace {

constexpr char kListenerFile[] = "anon_inode:seccomp notify";

// The process is the container's by now: what it names must be a listener.
StatusOr<UniqueFd> TakeListener(pid_t pid, int number) {
  ASSIGN_OR_RETURN(const UniqueFd process, OpenPidfd(pid));
  UniqueFd listener(
      static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), number, 0)));
  if (!listener.valid()) return Errno(errno, "pidfd_getfd");
  ASSIGN_OR_RETURN(const std::string file, PathOfFd(listener.get()));
  if (file != kListenerFile) return Internal("not a listener: " + Quoted(file));
  return listener;
}

}  // namespace

StatusOr<ListenerPost> ListenerPost::Make(
    std::string listener_path, std::function<std::string(pid_t)> message) {
  ListenerPost post;
  post.listener_path_ = std::move(listener_path);
  post.message_ = std::move(message);
  ASSIGN_OR_RETURN(auto ends, Handshake::Pair());
  post.runtime_ = std::move(ends.first);
  post.process_ = std::move(ends.second);
  return post;
}

Status ListenerPost::Give(int listener) const {
  RETURN_IF_ERROR(
      process_.Send(MessageType::kListener, std::to_string(listener)));
  return process_.WaitForGo();
}

Status ListenerPost::Pass(const std::function<pid_t()>& pid) const {
  ASSIGN_OR_RETURN(const HandshakeMessage message, runtime_.Receive());
  if (message.type == MessageType::kEnd) return OkStatus();
  const auto number = ParseInt(message.text);
  if (message.type != MessageType::kListener || !number || *number < 0 ||
      *number > INT32_MAX) {
    return Internal("unexpected message from the container's process");
  }
  RETURN_IF_ERROR_AS(Send(pid(), static_cast<int>(*number)),
                     "linux.seccomp.listenerPath " + Quoted(listener_path_));
  return runtime_.Send(MessageType::kGo);
}

Status ListenerPost::Send(pid_t pid, int number) const {
  ASSIGN_OR_RETURN(const UniqueFd listener, TakeListener(pid, number));
  ASSIGN_OR_RETURN(const UniqueFd connection, ConnectUnix(listener_path_));
  return SendFd(connection.get(), listener.get(), message_(pid));
}

std::string ListenerMessage(const std::string& oci_version, pid_t pid,
                            const std::string& metadata,
                            const std::string& state) {
  std::string text = "{\"ociVersion\":" + DumpJson(Json(oci_version)) +
                     ",\"fds\":[\"seccompFd\"],\"pid\":" + std::to_string(pid);
  if (!metadata.empty()) text += ",\"metadata\":" + DumpJson(Json(metadata));
  return text + ",\"state\":" + state + "}";
}

}  // namespace berth::oci
