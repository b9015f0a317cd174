// Which device nodes the processes of a cgroup may use: rules in, v1 lines or
// a v2 program out. All but AttachDeviceFilter is pure.
#ifndef OCI_CGROUP_DEVICE_FILTER_H_
#define OCI_CGROUP_DEVICE_FILTER_H_

#include <linux/bpf.h>

#include <string>
#include <vector>

#include "base/status.h"
#include "oci/spec/spec.h"

namespace berth::oci {

// The rules of a container: those of its resources, then what every container
// may use: mknod of anything; null, zero, full, random, urandom, tty, ptmx,
// pseudo terminals, tun. Never empty.
std::vector<DeviceRule> ContainerDeviceRules(const Linux& linux);

// spec.linux.resources with the rules above: what Cgroup::Create takes.
Resources ContainerResources(const Linux& linux);

// The same but for the rules.
Resources WithoutDevices(Resources resources);

// One write each, in order, to devices.deny or devices.allow (v1). The first
// sets what holds by default, the rest are the exceptions from it.
struct DeviceLine {
  bool allow = false;
  std::string line;  // "c 1:3 rwm"

  bool operator==(const DeviceLine&) const = default;
};

// UNIMPLEMENTED for an exception from an exception (all of major 1, but not
// 1:3), which v1 cannot hold and would silently let through.
StatusOr<std::vector<DeviceLine>> DeviceLines(
    const std::vector<DeviceRule>& rules);

// A BPF_PROG_TYPE_CGROUP_DEVICE program: for each of read, write and mknod
// that is asked for, the last rule that covers it decides; without one it is
// denied.
std::vector<bpf_insn> DeviceProgram(const std::vector<DeviceRule>& rules);

// Loads the program and puts it in the place of those that are attached to
// the cgroup directory (bpf(2)). There is no moment without a filter.
Status AttachDeviceFilter(int cgroup_dir, const std::vector<DeviceRule>& rules);

}  // namespace berth::oci

#endif  // OCI_CGROUP_DEVICE_FILTER_H_
