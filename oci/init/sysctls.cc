#include "oci/init/sysctls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/strings.h"
#include "base/unique_fd.h"

namespace berth::oci {
namespace {

std::string SysctlPath(std::string name) {
  const size_t first = name.find_first_of("./");
  if (first == std::string::npos || name[first] == '/') return name;
  for (char& c : name) c = c == '.' ? '/' : c == '/' ? '.' : c;
  return name;
}

// FAILED_PRECONDITION unless it is of a procfs.
Status CheckProcfs(int fd, const std::string& path) {
  struct statfs fs;
  if (fstatfs(fd, &fs) != 0) return Errno(errno, "statfs " + Quoted(path));
  if (fs.f_type == PROC_SUPER_MAGIC) return OkStatus();
  return FailedPrecondition(Quoted(path) + " is not of a procfs");
}

StatusOr<UniqueFd> OpenBeneath(int directory, const std::string& path) {
  struct open_how how = {};
  how.flags = O_WRONLY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
  while (true) {
    const long fd =
        syscall(SYS_openat2, directory, path.c_str(), &how, sizeof(how));
    if (fd >= 0) return UniqueFd(static_cast<int>(fd));
    if (errno == EINTR || errno == EAGAIN) continue;
    return Errno(errno, "open " + Quoted(path) + " in /proc/sys");
  }
}

}  // namespace

Status SetSysctls(const std::map<std::string, std::string>& sysctls) {
  if (sysctls.empty()) return OkStatus();
  const UniqueFd root(open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return Errno(errno, "open /proc/sys");
  RETURN_IF_ERROR(CheckProcfs(root.get(), "/proc/sys"));
  for (const auto& [name, value] : sysctls) {
    const std::string doing = "set linux.sysctl " + Quoted(name);
    const std::string path = SysctlPath(name);
    ASSIGN_OR_RETURN_AS(const UniqueFd fd, OpenBeneath(root.get(), path),
                        doing);
    RETURN_IF_ERROR_AS(CheckProcfs(fd.get(), path), doing);
    // In one write: the kernel takes each for a whole value.
    if (write(fd.get(), value.data(), value.size()) !=
        static_cast<ssize_t>(value.size())) {
      return Errno(errno, doing);
    }
  }
  return OkStatus();
}

}  // namespace berth::oci
