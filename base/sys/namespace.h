// Namespaces by fd. Source: namespaces(7), setns(2), unshare(2), ioctl_ns(2).
#ifndef BASE_SYS_NAMESPACE_H_
#define BASE_SYS_NAMESPACE_H_

#include <sys/types.h>

#include <string>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth {

// A namespace of exactly this type (one CLONE_NEW* flag), by a path such as
// /proc/1/ns/net. INVALID_ARGUMENT if the file is another thing.
StatusOr<UniqueFd> OpenNamespace(const std::string& path, int type);

// setns(2). `fd` is a namespace, or a pidfd: then `types` may name several.
// A pid namespace is entered by later children, all others by the caller.
Status EnterNamespace(int fd, int types);

// Whether the namespace `fd` belongs to the user namespace `user` itself; not
// so if it cannot be told.
bool OwnsNamespace(int user, int fd);

// Whether the caller is in a user namespace that is not the machine's first
// one, where root has no rights over the host. Source: user_namespaces(7).
bool InUserNamespace();

// unshare(2).
Status UnshareNamespaces(int types);

// Makes the namespace that `source` ("/proc/self/ns/net") names outlive its
// processes: binds it on `path`, a file that is made if missing.
Status PinNamespace(const std::string& source, const std::string& path);

// "net" for CLONE_NEWNET: the name below /proc/PID/ns.
const char* NamespaceProcName(int type);

}  // namespace berth

#endif  // BASE_SYS_NAMESPACE_H_
