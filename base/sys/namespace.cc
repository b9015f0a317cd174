#include "base/sys/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/strings.h"

namespace berth {

StatusOr<UniqueFd> OpenNamespace(const std::string& path, int type) {
  // O_NONBLOCK: a fifo planted there must not hold us up.
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return Errno(errno, "open namespace " + Quoted(path));
  // Only the files of nsfs know this request (ioctl_ns(2)).
  const int actual = ioctl(fd.get(), NS_GET_NSTYPE);
  if (actual != type) {
    return InvalidArgument("namespace " + Quoted(path) + ": not of type " +
                           NamespaceProcName(type));
  }
  return fd;
}

Status EnterNamespace(int fd, int types) {
  if (setns(fd, types) != 0) return Errno(errno, "setns");
  return OkStatus();
}

bool OwnsNamespace(int user, int fd) {
  const UniqueFd owner(ioctl(fd, NS_GET_USERNS));
  struct stat mine, its;
  return owner.valid() && fstat(user, &mine) == 0 &&
         fstat(owner.get(), &its) == 0 && mine.st_dev == its.st_dev &&
         mine.st_ino == its.st_ino;
}

bool InUserNamespace() {
  // Not by its map: another one may map all ids to themselves as well. Source:
  // PROC_USER_INIT_INO in include/linux/proc_ns.h of Linux.
  constexpr ino_t kFirst = 0xEFFFFFFD;
  struct stat mine;
  return stat("/proc/self/ns/user", &mine) == 0 && mine.st_ino != kFirst;
}

Status UnshareNamespaces(int types) {
  if (unshare(types) != 0) return Errno(errno, "unshare");
  return OkStatus();
}

Status PinNamespace(const std::string& source, const std::string& path) {
  const UniqueFd file(
      open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0444));
  if (!file.valid()) return Errno(errno, "create " + Quoted(path));
  if (mount(source.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    return Errno(errno, "bind namespace on " + Quoted(path));
  }
  return OkStatus();
}

const char* NamespaceProcName(int type) {
  switch (type) {
    case CLONE_NEWNS:
      return "mnt";
    case CLONE_NEWPID:
      return "pid";
    case CLONE_NEWNET:
      return "net";
    case CLONE_NEWIPC:
      return "ipc";
    case CLONE_NEWUTS:
      return "uts";
    case CLONE_NEWUSER:
      return "user";
    case CLONE_NEWTIME:
      return "time";
    case CLONE_NEWCGROUP:
      return "cgroup";
    default:
      return "unknown";
  }
}

}  // namespace berth
