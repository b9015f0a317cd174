// The messages of the CRI and ours, one into the other: pure functions, a .cc
// file for each noun.
//
// What comes in is checked here for all that the message itself can get wrong;
// whether a host path or a profile exists is for those who use it. Every error
// names the field, as a client wrote it: INVALID_ARGUMENT for what can never
// work, UNIMPLEMENTED for what we do not do. No field is passed over in
// silence, but for those that the interface itself calls informative.
#ifndef CRI_CONVERT_H_
#define CRI_CONVERT_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "api/cri/v1/container.pb.h"
#include "api/cri/v1/image.pb.h"
#include "api/cri/v1/pod.pb.h"
#include "api/cri/v1/stats.pb.h"
#include "api/state/v1/state.pb.h"
#include "base/status.h"
#include "sandbox/inventory.h"

namespace berth::cri {

namespace v1 = ::runtime::v1;

// ---- Shared values (convert_value.cc) ---------------------------------------

StatusOr<state::v1::Resources> FromResources(
    const v1::LinuxContainerResources& resources, const std::string& field);
v1::LinuxContainerResources ToResources(const state::v1::Resources& resources);

// Where a profile is asked for twice, `deprecated` counts only if the message
// field is absent (`profile` null). One from a registry comes without its
// contents.
enum class ProfileOf { kSeccomp, kAppArmor };
StatusOr<state::v1::SecurityProfile> FromProfile(
    ProfileOf what, const v1::SecurityProfile* profile,
    const std::string& deprecated, const std::string& field);

// `target` says whether pid TARGET has a meaning: for containers only.
StatusOr<state::v1::NamespaceOptions> FromNamespaces(
    const v1::NamespaceOption& options, bool target, const std::string& field);
v1::NamespaceOption ToNamespaces(const state::v1::NamespaceOptions& options);

// Into `to`, which is empty.
void ToMappings(
    const google::protobuf::RepeatedPtrField<state::v1::IdMapping>& from,
    google::protobuf::RepeatedPtrField<v1::IDMapping>& to);

state::v1::SelinuxOptions FromSelinux(const v1::SELinuxOption& options);

// The kernel's number of a signal; 0 for SIGNAL_RUNTIME_DEFAULT.
StatusOr<int> FromSignal(v1::Signal signal, const std::string& field);
v1::Signal ToSignal(int number);

// An error that kubelet knows by a word: UNKNOWN, and a text that begins with
// it. All others, and OK, as they are.
Status WordFirst(const Status& status);

// ---- Configurations as they came (convert_config.cc) ------------------------

v1::PodSandboxConfig ToPodConfig(const state::v1::SandboxConfig& ours);
v1::ContainerConfig ToContainerConfig(const state::v1::ContainerConfig& ours);

// ---- Pods (convert_pod.cc) --------------------------------------------------

StatusOr<state::v1::SandboxConfig> FromPodConfig(
    const v1::PodSandboxConfig& config, const std::string& runtime_handler);

v1::PodSandboxState ToState(state::v1::SandboxPhase phase);
v1::PodSandboxStatus ToPodStatus(const state::v1::SandboxRecord& record);
v1::PodSandbox ToPod(const state::v1::SandboxRecord& record);
v1::PodSandboxAttributes ToAttributes(const state::v1::SandboxRecord& record);

sandbox::SandboxFilter FromFilter(const v1::PodSandboxFilter& filter);
sandbox::SandboxFilter FromFilter(const v1::PodSandboxStatsFilter& filter);

// ---- Containers (convert_container.cc, convert_container_status.cc) ---------

// What a name of an image stood for when the request came.
struct ImageNames {
  std::string id;         // "sha256:..."
  std::string reference;  // a digested name, or the id if it has none
};
// NOT_FOUND for an image that is not here: nothing is ever pulled.
using ImageResolver =
    std::function<StatusOr<ImageNames>(const std::string& name)>;

StatusOr<state::v1::ContainerConfig> FromContainerConfig(
    const v1::ContainerConfig& config, const ImageResolver& images);

v1::Mount ToMount(const state::v1::Mount& ours);
v1::ContainerState ToState(state::v1::ContainerPhase phase);
v1::ContainerStatus ToContainerStatus(const state::v1::ContainerRecord& record);
v1::Container ToContainer(const state::v1::ContainerRecord& record);
v1::ContainerAttributes ToAttributes(const state::v1::ContainerRecord& record);

sandbox::ContainerFilter FromFilter(const v1::ContainerFilter& filter);
sandbox::ContainerFilter FromFilter(const v1::ContainerStatsFilter& filter);

}  // namespace berth::cri

#endif  // CRI_CONVERT_H_
