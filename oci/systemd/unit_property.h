#ifndef OCI_SYSTEMD_UNIT_PROPERTY_H_
#define OCI_SYSTEMD_UNIT_PROPERTY_H_

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace berth::oci {

// In systemd's words (DeviceAllow): a device, and which of "rwm".
using DevicePermissions = std::vector<std::pair<std::string, std::string>>;

// One setting of a systemd unit, as org.freedesktop.systemd1(5) names and
// types it: b, s, i, u, x, t, ay, au, as, a(ss). A value.
struct UnitProperty {
  using Value =
      std::variant<bool, std::string, int32_t, uint32_t, int64_t, uint64_t,
                   std::vector<uint8_t>, std::vector<uint32_t>,
                   std::vector<std::string>, DevicePermissions>;

  std::string name;
  Value value;

  bool operator==(const UnitProperty&) const = default;
};

}  // namespace berth::oci

#endif  // OCI_SYSTEMD_UNIT_PROPERTY_H_
