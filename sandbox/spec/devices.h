// The device nodes of a container. Looks at nodes of the host; makes nothing.
#ifndef SANDBOX_SPEC_DEVICES_H_
#define SANDBOX_SPEC_DEVICES_H_

#include <map>
#include <string>
#include <vector>

#include "api/state/v1/state.pb.h"
#include "base/context.h"
#include "base/status.h"
#include "oci/spec/spec.h"

namespace berth::sandbox {

// Nodes to make, and rules for the cgroup, in order.
struct DeviceSet {
  std::vector<oci::DeviceNode> nodes;
  std::vector<oci::DeviceRule> rules;
  // The host's path of each node that is elsewhere there, by its own path.
  std::map<std::string, std::string> elsewhere;

  bool operator==(const DeviceSet&) const = default;
};

// What the request lists: links of the host are followed, a directory stands
// for all nodes in it. Rules as "c 1:3 rwm", with "*" for any number.
StatusOr<DeviceSet> RequestedDevices(const Context& ctx,
                                     const state::v1::ContainerConfig& config);

// Every device of the host below `dev` ("/dev"), for privileged containers,
// and leave to use any.
DeviceSet HostDevices(const std::string& dev);

// In a user namespace no node can be made: the runtime binds the host's of the
// same path. A node that is elsewhere on the host is one of the mounts there.
void BindElsewhere(const std::map<std::string, std::string>& elsewhere,
                   oci::Spec& spec);

StatusOr<oci::DeviceRule> ParseDeviceRule(const std::string& text);

}  // namespace berth::sandbox

#endif  // SANDBOX_SPEC_DEVICES_H_
