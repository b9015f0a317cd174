#include "oci/init/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/strings.h"

namespace berth::oci {
namespace {

// FAILED_PRECONDITION unless it is of a procfs.
Status CheckProcfs(int fd, const std::string& path) {
  struct statfs fs;
  if (fstatfs(fd, &fs) != 0) return Errno(errno, "statfs " + Quoted(path));
  if (fs.f_type == PROC_SUPER_MAGIC) return OkStatus();
  return FailedPrecondition(Quoted(path) + " is not of a procfs");
}

}  // namespace

StatusOr<UniqueFd> OpenProcfs(const char* directory, const std::string& path) {
  const UniqueFd root(open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return Errno(errno, std::string("open ") + directory);
  RETURN_IF_ERROR(CheckProcfs(root.get(), directory));
  struct open_how how = {};
  how.flags = O_WRONLY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  while (true) {
    UniqueFd fd(static_cast<int>(
        syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof(how))));
    if (!fd.valid()) {
      if (errno == EINTR || errno == EAGAIN) continue;
      return Errno(errno, "open " + Quoted(path) + " in " + directory);
    }
    RETURN_IF_ERROR(CheckProcfs(fd.get(), path));
    return fd;
  }
}

}  // namespace berth::oci
