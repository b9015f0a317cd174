// What a plugin sends: frames, and in them what it wants of a container, down
// to the specification that comes of it.
#include <string>

#include "nri/merge.h"
#include "nri/messages.h"
#include "nri/mux.h"
#include "nri/validator.h"
#include "oci/spec/parse.h"
#include "oci/spec/serialize.h"
#include "oci/spec/validate.h"
#include "sandbox/spec/nri_step.h"
#include "sandbox/spec/spec_builder.h"
#include "shim/wire/ttrpc.h"
#include "test/fuzz/driver/fuzz_target.h"

namespace {

using namespace berth;
namespace plugins = berth::nri;  // not the protocol's own ::nri

// The start of a container that the plugins want to be so.
void Start(const plugins::api::ContainerAdjustment& adjustment) {
  const state::v1::SandboxRecord pod;
  state::v1::ContainerRecord container;
  container.add_argv("/bin/app");
  const state::v1::ImageConfig image;
  const sandbox::HostFacts host;
  sandbox::SpecInputs inputs{pod, container, image, host, "/", {}, {}, {}};
  inputs.adjustment = &adjustment;
  auto spec = sandbox::PlanSpec(inputs);
  FUZZ_CHECK(spec.ok());
  if (!sandbox::NriStep(inputs, *spec).ok() || !oci::Validate(*spec).ok()) {
    return;
  }
  // The runtime reads what was planned.
  FUZZ_CHECK(oci::ParseSpec(oci::SerializeSpec(*spec)).ok());
}

}  // namespace

FUZZ_TARGET(bytes) {
  plugins::MuxParser mux;
  shim::FrameParser answers;
  plugins::api::Container shown;
  shown.set_id("c");
  plugins::Merge merge(shown);
  size_t size = 0;
  int plugins = 0;
  for (size_t at = 0; at < bytes.size(); at += 7) {
    mux.Feed(bytes.substr(at, 7));
    while (true) {
      const auto frame = mux.Next();
      if (!frame.ok()) return plugins > 0;
      if (!frame->has_value()) break;
      size += plugins::kMuxHeaderSize + (*frame)->payload.size();
      answers.Feed((*frame)->payload);
    }
    while (const auto answer = answers.Next()) {
      const auto payload = shim::DecodeResponse(answer->data);
      plugins::api::CreateContainerResponse response;
      if (!payload.ok() || !response.ParseFromString(*payload)) continue;
      const std::string name = std::to_string(10 + plugins++ % 2) + "-p";
      if (!merge.Add(name, response).ok()) return true;
    }
  }
  FUZZ_CHECK(size <= bytes.size());
  plugins::api::ValidateContainerAdjustmentRequest result;
  *result.mutable_container() = shown;
  *result.mutable_adjust() = merge.adjustment();
  *result.mutable_owners() = merge.owners().all();
  plugins::ValidatorSettings all;
  all.reject_hooks = all.reject_namespaces = all.reject_sysctls = true;
  all.reject_unconfined_seccomp = true;
  (void)plugins::Validate(all, result);
  Start(merge.adjustment());
  return plugins > 0;
}
