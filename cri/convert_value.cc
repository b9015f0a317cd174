#include <csignal>
#include <map>

#include "base/error/word.h"
#include "base/strings.h"
#include "cri/convert.h"

namespace berth::cri {
namespace {

constexpr char kLocalhost[] = "localhost/";

StatusOr<state::v1::NamespaceMode> FromMode(v1::NamespaceMode mode,
                                            const std::string& field) {
  switch (mode) {
    case v1::POD:
      return state::v1::NAMESPACE_MODE_POD;
    case v1::CONTAINER:
      return state::v1::NAMESPACE_MODE_CONTAINER;
    case v1::NODE:
      return state::v1::NAMESPACE_MODE_NODE;
    case v1::TARGET:
      return state::v1::NAMESPACE_MODE_TARGET;
    default:
      return InvalidArgument(field + ": unknown mode " + std::to_string(mode));
  }
}

// POD or NODE.
StatusOr<state::v1::NamespaceMode> FromPodOrNode(v1::NamespaceMode mode,
                                                 const std::string& field) {
  ASSIGN_OR_RETURN(const state::v1::NamespaceMode ours, FromMode(mode, field));
  if (ours != state::v1::NAMESPACE_MODE_POD &&
      ours != state::v1::NAMESPACE_MODE_NODE) {
    return InvalidArgument(field + ": must be POD or NODE");
  }
  return ours;
}

StatusOr<state::v1::NamespaceMode> FromCgroupNamespace(
    const v1::CgroupNamespace& options, bool of_container,
    const std::string& field) {
  if (!of_container) {
    return InvalidArgument(field + ": has no meaning for a sandbox");
  }
  switch (options.mode()) {
    case v1::CONTAINER:
      return state::v1::NAMESPACE_MODE_CONTAINER;
    case v1::NODE:
      return state::v1::NAMESPACE_MODE_NODE;
    default:
      return InvalidArgument(field + ".mode: must be CONTAINER or NODE");
  }
}

v1::NamespaceMode ToMode(state::v1::NamespaceMode mode) {
  switch (mode) {
    case state::v1::NAMESPACE_MODE_CONTAINER:
      return v1::CONTAINER;
    case state::v1::NAMESPACE_MODE_NODE:
      return v1::NODE;
    case state::v1::NAMESPACE_MODE_TARGET:
      return v1::TARGET;
    default:
      return v1::POD;
  }
}

Status CopyMappings(
    const google::protobuf::RepeatedPtrField<v1::IDMapping>& from,
    const std::string& field,
    google::protobuf::RepeatedPtrField<state::v1::IdMapping>& to) {
  if (from.size() != 1) {
    return InvalidArgument(field + ": must have exactly one line, not " +
                           std::to_string(from.size()));
  }
  if (from[0].container_id() != 0) {
    return InvalidArgument(field + ": must map container id 0");
  }
  if (from[0].length() == 0) {
    return InvalidArgument(field + ": must not have length 0");
  }
  state::v1::IdMapping& ours = *to.Add();
  ours.set_container_id(from[0].container_id());
  ours.set_host_id(from[0].host_id());
  ours.set_size(from[0].length());
  return OkStatus();
}

Status FromUserns(const v1::UserNamespace& userns, const std::string& field,
                  state::v1::NamespaceOptions& options) {
  switch (userns.mode()) {
    case v1::NODE:
      if (userns.uids_size() != 0 || userns.gids_size() != 0) {
        return InvalidArgument(field + ": mode NODE has no mappings");
      }
      return OkStatus();
    case v1::POD:
      RETURN_IF_ERROR(CopyMappings(userns.uids(), field + ".uids",
                                   *options.mutable_uid_mappings()));
      return CopyMappings(userns.gids(), field + ".gids",
                          *options.mutable_gid_mappings());
    default:
      return InvalidArgument(field + ".mode: must be POD or NODE");
  }
}

StatusOr<state::v1::SecurityProfile> FromDeprecated(const std::string& text,
                                                    const std::string& field) {
  state::v1::SecurityProfile profile;
  if (text.empty()) return profile;
  if (text == "runtime/default" || text == "docker/default") {
    profile.set_type(state::v1::SecurityProfile::RUNTIME_DEFAULT);
  } else if (text == "unconfined") {
    profile.set_type(state::v1::SecurityProfile::UNCONFINED);
  } else if (StartsWith(text, kLocalhost) && text != kLocalhost) {
    profile.set_type(state::v1::SecurityProfile::LOCALHOST);
    profile.set_localhost_ref(text.substr(sizeof(kLocalhost) - 1));
  } else {
    return InvalidArgument(field + ": unknown profile " + Quoted(text));
  }
  return profile;
}

std::string WithoutLocalhost(const std::string& reference) {
  return StartsWith(reference, kLocalhost)
             ? reference.substr(sizeof(kLocalhost) - 1)
             : reference;
}

Status FromOci(const v1::SecurityProfile& profile, const std::string& field,
               state::v1::SecurityProfile& ours) {
  ours.set_type(state::v1::SecurityProfile::OCI);
  if (profile.oci_ref().empty()) {
    return InvalidArgument(field + ".oci_ref: is missing");
  }
  ours.set_oci_ref(profile.oci_ref());
  const v1::SecurityProfileBase& base = profile.base_profile();
  const bool localhost = base.type() == v1::SecurityProfileBase::Localhost;
  if (!localhost && base.type() != v1::SecurityProfileBase::RuntimeDefault) {
    return InvalidArgument(field + ".base_profile: unknown type");
  }
  const std::string reference = WithoutLocalhost(base.localhost_ref());
  if (localhost == reference.empty()) {
    return InvalidArgument(field + ".base_profile.localhost_ref: " +
                           (localhost ? "is missing" : "needs type Localhost"));
  }
  ours.set_base_localhost_ref(reference);
  return OkStatus();
}

const std::map<std::string, int>& SignalsByName() {
  static const auto* const signals = new std::map<std::string, int>{
      {"ABRT", SIGABRT},     {"ALRM", SIGALRM},     {"BUS", SIGBUS},
      {"CHLD", SIGCHLD},     {"CLD", SIGCHLD},      {"CONT", SIGCONT},
      {"FPE", SIGFPE},       {"HUP", SIGHUP},       {"ILL", SIGILL},
      {"INT", SIGINT},       {"IO", SIGIO},         {"IOT", SIGIOT},
      {"KILL", SIGKILL},     {"PIPE", SIGPIPE},     {"POLL", SIGPOLL},
      {"PROF", SIGPROF},     {"PWR", SIGPWR},       {"QUIT", SIGQUIT},
      {"SEGV", SIGSEGV},     {"STKFLT", SIGSTKFLT}, {"STOP", SIGSTOP},
      {"SYS", SIGSYS},       {"TERM", SIGTERM},     {"TRAP", SIGTRAP},
      {"TSTP", SIGTSTP},     {"TTIN", SIGTTIN},     {"TTOU", SIGTTOU},
      {"URG", SIGURG},       {"USR1", SIGUSR1},     {"USR2", SIGUSR2},
      {"VTALRM", SIGVTALRM}, {"WINCH", SIGWINCH},   {"XCPU", SIGXCPU},
      {"XFSZ", SIGXFSZ}};
  return *signals;
}

// The kernel's real-time signals as libc numbers them: 34 to 64, whatever the
// libc in use keeps for itself.
constexpr int kRtMin = 34;
constexpr int kRtMax = 64;

// "RTMIN", "RTMINPLUS3", "RTMAXMINUS3", "RTMAX"; 0 for another name.
int RealTimeSignal(const std::string& name) {
  if (name == "RTMIN") return kRtMin;
  if (name == "RTMAX") return kRtMax;
  if (StartsWith(name, "RTMINPLUS")) {
    return kRtMin +
           static_cast<int>(ParseInt(name.substr(9)).value_or(-kRtMin));
  }
  if (StartsWith(name, "RTMAXMINUS")) {
    return kRtMax -
           static_cast<int>(ParseInt(name.substr(10)).value_or(kRtMax));
  }
  return 0;
}

// "SIGNAL_SIGTERM" -> 15; 0 for what is no signal.
int NumberOf(const std::string& name) {
  constexpr size_t kPrefix = sizeof("SIGNAL_SIG") - 1;
  if (name.size() <= kPrefix) return 0;
  const std::string rest = name.substr(kPrefix);
  const auto found = SignalsByName().find(rest);
  return found != SignalsByName().end() ? found->second : RealTimeSignal(rest);
}

}  // namespace

void ToMappings(
    const google::protobuf::RepeatedPtrField<state::v1::IdMapping>& from,
    google::protobuf::RepeatedPtrField<v1::IDMapping>& to) {
  for (const state::v1::IdMapping& ours : from) {
    v1::IDMapping& line = *to.Add();
    line.set_container_id(ours.container_id());
    line.set_host_id(ours.host_id());
    line.set_length(ours.size());
  }
}

StatusOr<state::v1::Resources> FromResources(
    const v1::LinuxContainerResources& resources, const std::string& field) {
  for (const auto& [name, value, least] :
       {std::tuple("cpu_period", resources.cpu_period(), int64_t{0}),
        std::tuple("cpu_quota", resources.cpu_quota(), int64_t{-1}),
        std::tuple("cpu_shares", resources.cpu_shares(), int64_t{0}),
        std::tuple("memory_limit_in_bytes", resources.memory_limit_in_bytes(),
                   int64_t{-1}),
        std::tuple("memory_swap_limit_in_bytes",
                   resources.memory_swap_limit_in_bytes(), int64_t{-1})}) {
    if (value < least) {
      return InvalidArgument(field + "." + name + ": " + std::to_string(value) +
                             " is out of range");
    }
  }
  if (resources.oom_score_adj() < -1000 || resources.oom_score_adj() > 1000) {
    return InvalidArgument(field + ".oom_score_adj: must be -1000 to 1000");
  }
  state::v1::Resources ours;
  ours.set_cpu_period(resources.cpu_period());
  ours.set_cpu_quota(resources.cpu_quota());
  ours.set_cpu_shares(resources.cpu_shares());
  ours.set_memory_limit(resources.memory_limit_in_bytes());
  ours.set_memory_swap_limit(resources.memory_swap_limit_in_bytes());
  // A limit of memory alone means: no swap on top of it.
  if (resources.memory_limit_in_bytes() > 0 &&
      resources.memory_swap_limit_in_bytes() == 0) {
    ours.set_memory_swap_limit(resources.memory_limit_in_bytes());
  }
  ours.set_oom_score_adj(resources.oom_score_adj());
  ours.set_cpuset_cpus(resources.cpuset_cpus());
  ours.set_cpuset_mems(resources.cpuset_mems());
  for (const v1::HugepageLimit& limit : resources.hugepage_limits()) {
    state::v1::HugepageLimit& page = *ours.add_hugepage_limits();
    page.set_page_size(limit.page_size());
    page.set_limit(limit.limit());
  }
  *ours.mutable_unified() = resources.unified();
  return ours;
}

v1::LinuxContainerResources ToResources(const state::v1::Resources& resources) {
  v1::LinuxContainerResources theirs;
  theirs.set_cpu_period(resources.cpu_period());
  theirs.set_cpu_quota(resources.cpu_quota());
  theirs.set_cpu_shares(resources.cpu_shares());
  theirs.set_memory_limit_in_bytes(resources.memory_limit());
  theirs.set_memory_swap_limit_in_bytes(resources.memory_swap_limit());
  theirs.set_oom_score_adj(resources.oom_score_adj());
  theirs.set_cpuset_cpus(resources.cpuset_cpus());
  theirs.set_cpuset_mems(resources.cpuset_mems());
  for (const state::v1::HugepageLimit& page : resources.hugepage_limits()) {
    v1::HugepageLimit& limit = *theirs.add_hugepage_limits();
    limit.set_page_size(page.page_size());
    limit.set_limit(page.limit());
  }
  *theirs.mutable_unified() = resources.unified();
  return theirs;
}

StatusOr<state::v1::SecurityProfile> FromProfile(
    ProfileOf what, const v1::SecurityProfile* profile,
    const std::string& deprecated, const std::string& field) {
  if (profile == nullptr) return FromDeprecated(deprecated, field);
  state::v1::SecurityProfile ours;
  std::string reference = profile->localhost_ref();
  switch (profile->profile_type()) {
    case v1::SecurityProfile::RuntimeDefault:
      ours.set_type(state::v1::SecurityProfile::RUNTIME_DEFAULT);
      break;
    case v1::SecurityProfile::Unconfined:
      ours.set_type(state::v1::SecurityProfile::UNCONFINED);
      break;
    case v1::SecurityProfile::Localhost:
      ours.set_type(state::v1::SecurityProfile::LOCALHOST);
      reference = WithoutLocalhost(reference);
      break;
    case v1::SecurityProfile::OCI:
      if (what == ProfileOf::kAppArmor) {
        return InvalidArgument(field + ": OCI is for seccomp only");
      }
      RETURN_IF_ERROR(FromOci(*profile, field, ours));
      break;
    default:
      return InvalidArgument(field + ": unknown profile type");
  }
  if (ours.type() != state::v1::SecurityProfile::OCI &&
      (!profile->oci_ref().empty() || profile->has_base_profile())) {
    return InvalidArgument(field + ".oci_ref, base_profile: need type OCI");
  }
  const bool localhost = ours.type() == state::v1::SecurityProfile::LOCALHOST;
  if (localhost == reference.empty()) {
    return InvalidArgument(field + ".localhost_ref: " +
                           (localhost ? "is missing" : "needs type Localhost"));
  }
  ours.set_localhost_ref(reference);
  return ours;
}

StatusOr<state::v1::NamespaceOptions> FromNamespaces(
    const v1::NamespaceOption& options, bool target, const std::string& field) {
  state::v1::NamespaceOptions ours;
  ASSIGN_OR_RETURN(const state::v1::NamespaceMode network,
                   FromPodOrNode(options.network(), field + ".network"));
  ASSIGN_OR_RETURN(const state::v1::NamespaceMode ipc,
                   FromPodOrNode(options.ipc(), field + ".ipc"));
  ASSIGN_OR_RETURN(const state::v1::NamespaceMode pid,
                   FromMode(options.pid(), field + ".pid"));
  const bool targets = pid == state::v1::NAMESPACE_MODE_TARGET;
  if (targets && !target) {
    return InvalidArgument(field + ".pid: TARGET has no meaning for a sandbox");
  }
  if (targets == options.target_id().empty()) {
    return InvalidArgument(
        field + ".target_id: " + (targets ? "is missing" : "needs pid TARGET"));
  }
  ours.set_network(network);
  ours.set_ipc(ipc);
  ours.set_pid(pid);
  // The host's network comes with the host's name.
  ours.set_uts(network);
  ours.set_target_id(options.target_id());
  if (options.has_cgroupns_options()) {
    ASSIGN_OR_RETURN(const state::v1::NamespaceMode cgroup,
                     FromCgroupNamespace(options.cgroupns_options(), target,
                                         field + ".cgroupns_options"));
    ours.set_cgroup(cgroup);
  }
  if (options.has_userns_options()) {
    RETURN_IF_ERROR(
        FromUserns(options.userns_options(), field + ".userns_options", ours));
  }
  return ours;
}

v1::NamespaceOption ToNamespaces(const state::v1::NamespaceOptions& options) {
  v1::NamespaceOption theirs;
  theirs.set_network(ToMode(options.network()));
  theirs.set_ipc(ToMode(options.ipc()));
  theirs.set_pid(ToMode(options.pid()));
  theirs.set_target_id(options.target_id());
  // POD is the runtime's choice: not asked for.
  if (options.cgroup() != state::v1::NAMESPACE_MODE_POD) {
    theirs.mutable_cgroupns_options()->set_mode(ToMode(options.cgroup()));
  }
  if (options.uid_mappings_size() != 0) {
    v1::UserNamespace& userns = *theirs.mutable_userns_options();
    userns.set_mode(v1::POD);
    ToMappings(options.uid_mappings(), *userns.mutable_uids());
    ToMappings(options.gid_mappings(), *userns.mutable_gids());
  }
  return theirs;
}

state::v1::SelinuxOptions FromSelinux(const v1::SELinuxOption& options) {
  state::v1::SelinuxOptions ours;
  ours.set_user(options.user());
  ours.set_role(options.role());
  ours.set_type(options.type());
  ours.set_level(options.level());
  return ours;
}

StatusOr<int> FromSignal(v1::Signal signal, const std::string& field) {
  if (signal == v1::SIGNAL_RUNTIME_DEFAULT) return 0;
  const int number = NumberOf(v1::Signal_Name(signal));
  if (number <= 0) {
    return InvalidArgument(field + ": unknown signal " +
                           std::to_string(static_cast<int>(signal)));
  }
  return number;
}

v1::Signal ToSignal(int number) {
  // The first name of a number wins, but for those that the trade prefers.
  if (number == SIGABRT) return v1::SIGNAL_SIGABRT;
  for (int value = v1::Signal_MIN; value <= v1::Signal_MAX; ++value) {
    const auto signal = static_cast<v1::Signal>(value);
    if (NumberOf(v1::Signal_Name(signal)) == number && number > 0) {
      return signal;
    }
  }
  return v1::SIGNAL_RUNTIME_DEFAULT;
}

Status WordFirst(const Status& status) {
  const std::string word = WordOf(status);
  if (word.empty()) return status;
  const std::string text = Message(status);
  return Error(StatusCode::kUnknown,
               StartsWith(text, word) ? text : word + ": " + text);
}

}  // namespace berth::cri
