// What `berth-oci features` prints, and the lists it is made of: the names
// that this runtime knows.
#ifndef OCI_SPEC_FEATURES_H_
#define OCI_SPEC_FEATURES_H_

#include <string>
#include <vector>

namespace berth::oci {

inline constexpr char kOciVersionMin[] = "1.0.0";
inline constexpr char kOciVersionMax[] = "1.3.0";

// Known only to those that carry them out: mount options to the mount plan,
// capabilities and the seccomp library's tables to the privileges.
struct FeatureLists {
  std::vector<std::string> mount_options;
  std::vector<std::string> capabilities;
};

// The features structure (features.md of the specification), indented JSON.
std::string FeaturesJson(const FeatureLists& lists);

// "SCMP_ACT_ALLOW" and so on: what seccomp profiles may say.
const std::vector<std::string>& SeccompActions();
const std::vector<std::string>& SeccompOperators();
const std::vector<std::string>& SeccompArchitectures();
const std::vector<std::string>& SeccompFlags();

}  // namespace berth::oci

#endif  // OCI_SPEC_FEATURES_H_
