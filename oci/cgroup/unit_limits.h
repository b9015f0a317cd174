// Limits of a cgroup as properties of its systemd unit. Pure.
//
// systemd writes the files of all its units again when it is reloaded: what it
// has not been told is lost then. What it has no word for, it leaves alone.
#ifndef OCI_CGROUP_UNIT_LIMITS_H_
#define OCI_CGROUP_UNIT_LIMITS_H_

#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "oci/cgroup/limits.h"
#include "oci/spec/resources.h"
#include "oci/systemd/unit_property.h"

namespace berth::oci {

// The name of systemd's word for memory.oom.group, which it has for scopes
// since version 253, and takes when a unit is made only.
inline constexpr char kOomPolicy[] = "OOMPolicy";

// Of what LimitsV1 or LimitsV2 says. A CPU quota is rounded up to whole
// percents, as systemd does; a quota alone is one of the default period.
std::vector<UnitProperty> LimitProperties(
    const std::vector<LimitWrite>& writes);

// DevicePolicy and DeviceAllow. They allow at least what the rules do: systemd
// has no word for an exception from what is allowed, so what decides is our
// own filter, which stays beside systemd's (v2).
std::vector<UnitProperty> DeviceProperties(
    const std::vector<DeviceRule>& rules);

// Of the annotations "org.systemd.property.NAME", whose value is in GVariant's
// text form: true, 'text', uint64 5, ['a', 'b']. NAME may end in "Sec", with a
// number of seconds. INVALID_ARGUMENT. Source: runc's documentation,
// docs/systemd.md.
StatusOr<std::vector<UnitProperty>> AnnotationProperties(
    const std::map<std::string, std::string>& annotations);

}  // namespace berth::oci

#endif  // OCI_CGROUP_UNIT_LIMITS_H_
