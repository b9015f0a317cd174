// Files of CDI devices, down to the runtime specification of a container that
// has all of their devices.
#include "sandbox/cdi/cdi_file.h"

#include <string>

#include "api/state/v1/state.pb.h"
#include "oci/spec/parse.h"
#include "oci/spec/serialize.h"
#include "sandbox/spec/cdi_step.h"
#include "sandbox/spec/spec_builder.h"
#include "test/fuzz/driver/fuzz_target.h"

FUZZ_TARGET(bytes) {
  using namespace berth;
  auto file = sandbox::ParseCdiFile(bytes, "file");
  if (!file.ok()) file = sandbox::ParseCdiYaml(bytes, "file");
  if (!file.ok()) return false;
  const state::v1::SandboxRecord pod;
  state::v1::ContainerRecord container;
  container.add_argv("/bin/app");
  const state::v1::ImageConfig image;
  const sandbox::HostFacts host;
  sandbox::SpecInputs inputs{pod, container, image, host, "/", {}, {}, {}};
  inputs.cdi = {file->edits};
  for (const auto& [name, edits] : file->devices) {
    FUZZ_CHECK(sandbox::CheckCdiName(file->kind + "=" + name).ok());
    inputs.cdi.push_back(edits);
  }
  for (sandbox::CdiEdits& edits : inputs.cdi) {
    edits.intel_rdt.reset();  // of one device alone
    for (sandbox::CdiNode& cdi : edits.nodes) {
      if (cdi.node.type == 0) cdi.node.type = 'c';  // as of a host's node
    }
  }
  auto spec = sandbox::PlanSpec(inputs);
  FUZZ_CHECK(spec.ok());
  FUZZ_CHECK(sandbox::CdiStep(inputs, *spec).ok());
  // The runtime reads what was planned.
  FUZZ_CHECK(oci::ParseSpec(oci::SerializeSpec(*spec)).ok());
  return true;
}
