#ifndef NRI_VALIDATOR_H_
#define NRI_VALIDATOR_H_

#include <string>
#include <vector>

#include "base/status.h"
#include "nri/messages.h"

namespace berth::nri {

// What whoever runs the node lets no plugin do, and which plugins must be
// there.
struct ValidatorSettings {
  bool enabled = false;  // else nothing of the rest counts
  bool reject_hooks = false;
  // By the profile that the container has without plugins.
  bool reject_runtime_default_seccomp = false;
  bool reject_custom_seccomp = false;
  bool reject_unconfined_seccomp = false;
  bool reject_namespaces = false;
  bool reject_sysctls = false;
  // Names of plugins without which no container is created, besides those that
  // a pod's annotation "required-plugins.noderesource.dev" names: a list in
  // YAML. "/container.NAME" behind it makes it one container's own.
  std::vector<std::string> required_plugins;
  // The pod's annotation that lets the required plugins be missing, "true", for
  // one container as above. Empty: no annotation does.
  std::string tolerate_missing_annotation;
};

// Pure. FAILED_PRECONDITION, naming what is not allowed and whose it is, or the
// plugin that is missing.
Status Validate(const ValidatorSettings& settings,
                const api::ValidateContainerAdjustmentRequest& request);

}  // namespace berth::nri

#endif  // NRI_VALIDATOR_H_
