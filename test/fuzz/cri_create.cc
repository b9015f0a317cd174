// What kubelet sends to make a container and its pod, down to the runtime
// specification, with nothing looked up on the host.
#include <string>

#include "api/cri/v1/api.pb.h"
#include "api/state/v1/state.pb.h"
#include "cri/convert.h"
#include "oci/spec/parse.h"
#include "oci/spec/serialize.h"
#include "oci/spec/validate.h"
#include "sandbox/spec/check_config.h"
#include "sandbox/spec/security.h"
#include "sandbox/spec/spec_builder.h"
#include "test/fuzz/driver/fuzz_target.h"

namespace {

using namespace berth;

StatusOr<cri::ImageNames> AnyImage(const std::string& name) {
  return cri::ImageNames{"sha256:abc", name};
}

sandbox::HostFacts Host() {
  sandbox::HostFacts host;
  host.cgroup_v2 = true;
  host.hugetlb = true;
  host.capabilities = sandbox::AllCapabilities(40);
  host.user_namespaces = OkStatus();
  return host;
}

// The specification of the container; an error for what cannot be.
StatusOr<oci::Spec> Plan(const state::v1::SandboxRecord& pod,
                         state::v1::ContainerRecord& container) {
  state::v1::ImageConfig image;
  image.add_cmd("/bin/app");
  ASSIGN_OR_RETURN(const auto argv,
                   sandbox::CommandLine(container.config(), image));
  container.mutable_argv()->Assign(argv.begin(), argv.end());
  const sandbox::HostFacts host = Host();
  sandbox::SpecInputs inputs{pod, container, image, host, "/", {}, {}, {}};
  for (const std::string& rule : container.config().device_rules()) {
    ASSIGN_OR_RETURN(const auto parsed, sandbox::ParseDeviceRule(rule));
    inputs.devices.rules.push_back(parsed);
  }
  ASSIGN_OR_RETURN(oci::Spec spec, sandbox::PlanSpec(inputs));
  RETURN_IF_ERROR(sandbox::BindSpec(inputs, spec));
  return spec;
}

}  // namespace

FUZZ_TARGET(bytes) {
  runtime::v1::CreateContainerRequest request;
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return false;
  }
  const auto pod = cri::FromPodConfig(request.sandbox_config(), "");
  const auto config = cri::FromContainerConfig(request.config(), AnyImage);
  if (!pod.ok() || !config.ok()) return false;
  if (!sandbox::CheckSandboxConfig(*pod).ok()) return false;
  if (!sandbox::CheckContainerConfig(*config, *pod).ok()) return false;
  state::v1::SandboxRecord sandbox_record;
  *sandbox_record.mutable_config() = *pod;
  sandbox_record.set_id("pod");
  state::v1::ContainerRecord container_record;
  *container_record.mutable_config() = *config;
  container_record.set_id("container");
  (void)cri::ToPodStatus(sandbox_record);
  (void)cri::ToContainerStatus(container_record);
  const auto spec = Plan(sandbox_record, container_record);
  if (!spec.ok()) return false;
  // The runtime reads what was planned.
  FUZZ_CHECK(oci::ParseSpec(oci::SerializeSpec(*spec)).ok());
  return oci::Validate(*spec).ok();
}
