#ifndef OCI_INIT_NET_DEVICES_H_
#define OCI_INIT_NET_DEVICES_H_

#include <sys/types.h>

#include <map>
#include <string>

#include "base/status.h"

namespace berth::oci {

// linux.netDevices: moves links of the caller's network namespace into that of
// process `pid`, each to a new name, with the permanent addresses of global
// scope that it has, and sets it up. Nothing moves back if a later one fails:
// the namespace takes them along. Only in a process with one thread.
// Source: rtnetlink(7).
Status MoveNetDevices(const std::map<std::string, std::string>& devices,
                      pid_t pid);

}  // namespace berth::oci

#endif  // OCI_INIT_NET_DEVICES_H_
