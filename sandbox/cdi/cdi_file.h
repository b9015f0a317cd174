// What a CDI file says (Container Device Interface, versions 0.3.0 to 1.1.0):
// how a specification is changed so that a named device works in a container.
// Plain values and pure functions.
#ifndef SANDBOX_CDI_CDI_FILE_H_
#define SANDBOX_CDI_CDI_FILE_H_

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "oci/spec/spec.h"

namespace berth::sandbox {

struct CdiNode {
  // Type 0 and major 0: those of the host's node (FindCdiDevices fills them
  // in).
  oci::DeviceNode node;
  std::string host_path;
  std::string access = "rwm";  // for the cgroup; empty: no rule

  bool operator==(const CdiNode&) const = default;
};

// An object `containerEdits`.
struct CdiEdits {
  std::vector<std::string> env;  // "NAME=value"
  std::vector<CdiNode> nodes;
  // A mount without a type that is no bind by its options is one all the same.
  std::vector<oci::MountSpec> mounts;
  oci::Hooks hooks;
  std::vector<gid_t> groups;
  std::map<std::string, std::string> net_devices;  // host's name to its name
  std::optional<oci::IntelRdt> intel_rdt;

  bool operator==(const CdiEdits&) const = default;
};

struct CdiFile {
  std::string kind;  // "vendor.com/class"
  CdiEdits edits;    // for whoever has one of the devices
  std::map<std::string, CdiEdits> devices;  // by name, at least one
};

// INVALID_ARGUMENT, naming `what` and the member, for what the CDI
// specification forbids: unknown members, members that the file's version has
// not got, names out of its alphabet, a device twice, edits that say nothing.
StatusOr<CdiFile> ParseCdiFile(std::string_view json, const std::string& what);
StatusOr<CdiFile> ParseCdiYaml(std::string_view yaml, const std::string& what);

// INVALID_ARGUMENT unless it is a qualified device name, "vendor/class=name".
Status CheckCdiName(const std::string& name);

}  // namespace berth::sandbox

#endif  // SANDBOX_CDI_CDI_FILE_H_
