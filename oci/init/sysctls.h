#ifndef OCI_INIT_SYSCTLS_H_
#define OCI_INIT_SYSCTLS_H_

#include <map>
#include <string>

#include "base/status.h"

namespace berth::oci {

// Writes `linux.sysctl` for the namespaces of this process, through the host's
// own /proc: call it before a mount of the container can hide that. Names are
// with dots or slashes, as sysctl(8) has them; the first separator decides
// which of the two is the directory's.
//
// Each write goes to one file of the procfs that /proc/sys is: a link, ".." or
// a mount below it is refused (CVE-2022-0811, CVE-2025-52881). Those before one
// that fails stay written.
Status SetSysctls(const std::map<std::string, std::string>& sysctls);

}  // namespace berth::oci

#endif  // OCI_INIT_SYSCTLS_H_
