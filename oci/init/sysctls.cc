#include "oci/init/sysctls.h"

#include <errno.h>
#include <unistd.h>

#include "base/strings.h"
#include "base/unique_fd.h"
#include "oci/init/procfs.h"

namespace berth::oci {
namespace {

std::string SysctlPath(std::string name) {
  const size_t first = name.find_first_of("./");
  if (first == std::string::npos || name[first] == '/') return name;
  for (char& c : name) c = c == '.' ? '/' : c == '/' ? '.' : c;
  return name;
}

}  // namespace

Status SetSysctls(const std::map<std::string, std::string>& sysctls) {
  for (const auto& [name, value] : sysctls) {
    const std::string doing = "set linux.sysctl " + Quoted(name);
    ASSIGN_OR_RETURN_AS(const UniqueFd fd,
                        OpenProcfs("/proc/sys", SysctlPath(name)), doing);
    // In one write: the kernel takes each for a whole value, and of some files
    // what it does not understand of it is left.
    const ssize_t n = write(fd.get(), value.data(), value.size());
    if (n < 0) return Errno(errno, doing);
    if (static_cast<size_t>(n) < value.size()) {
      return InvalidArgument(doing + ": the kernel takes no more than " +
                             Quoted(value.substr(0, static_cast<size_t>(n))));
    }
  }
  return OkStatus();
}

}  // namespace berth::oci
