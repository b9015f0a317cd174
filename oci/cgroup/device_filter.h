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

// The rules of a container: those of its resources, then one for each node of
// linux.devices, then what every container may use: mknod of anything, null,
// zero, full, random, urandom, tty, ptmx, pseudo terminals. Never empty.
std::vector<DeviceRule> ContainerDeviceRules(const Linux& linux);

// spec.linux.resources with the rules above: what Cgroup::Create takes.
Resources ContainerResources(const Linux& linux);

// One write each, in order, to devices.deny and devices.allow (v1), starting
// with "a" denied.
struct DeviceLine {
  bool allow = false;
  std::string line;  // "c 1:3 rwm"

  bool operator==(const DeviceLine&) const = default;
};
std::vector<DeviceLine> DeviceLines(const std::vector<DeviceRule>& rules);

// A BPF_PROG_TYPE_CGROUP_DEVICE program with the same verdicts: the last rule
// that covers an access decides; with none, it is denied.
std::vector<bpf_insn> DeviceProgram(const std::vector<DeviceRule>& rules);

// Loads the program and puts it in the place of those that are attached to
// the cgroup directory (bpf(2)). There is no moment without a filter.
Status AttachDeviceFilter(int cgroup_dir, const std::vector<DeviceRule>& rules);

}  // namespace berth::oci

#endif  // OCI_CGROUP_DEVICE_FILTER_H_
