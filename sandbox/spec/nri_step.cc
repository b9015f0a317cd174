#include "sandbox/spec/nri_step.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/generated_enum_reflection.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/nri/api.pb.h"
#include "base/strings.h"
#include "nri/messages.h"
#include "sandbox/spec/mounts.h"

namespace berth::sandbox {
namespace {

namespace api = nri::api;
using nri::IsRemoval;
using nri::NameIn;

template <typename Strings>
std::vector<std::string> ToVector(const Strings& strings) {
  return {strings.begin(), strings.end()};
}

Status CheckSupported(const api::LinuxContainerAdjustment& linux) {
  if (!linux.has_rdt() || linux.rdt().remove()) return OkStatus();
  return Unimplemented("NRI adjustment linux.rdt");
}

// A plugin's number as the specification's word, which is NRI's name of it
// without the prefix that some have. A newer protocol's number has no name.
template <typename Enum>
StatusOr<std::string> WordOf(int number, const std::string& field) {
  constexpr std::string_view kPrefix = "NRI_";
  const google::protobuf::EnumValueDescriptor* const value =
      google::protobuf::GetEnumDescriptor<Enum>()->FindValueByNumber(number);
  if (value == nullptr) {
    return InvalidArgument("NRI adjustment linux." + field + ": no value " +
                           std::to_string(number));
  }
  const std::string name(value->name());
  return StartsWith(name, kPrefix) ? name.substr(kPrefix.size()) : name;
}

template <typename Enum, typename Numbers>
StatusOr<std::vector<std::string>> WordsOf(const Numbers& numbers,
                                           const std::string& field) {
  std::vector<std::string> words;
  for (const int number : numbers) {
    ASSIGN_OR_RETURN(words.emplace_back(), WordOf<Enum>(number, field));
  }
  return words;
}

Status AdjustScheduling(const api::LinuxContainerAdjustment& from,
                        oci::ProcessSpec& to) {
  if (from.has_io_priority()) {
    ASSIGN_OR_RETURN(const std::string priority_class,
                     WordOf<api::IOPrioClass>(from.io_priority().class_(),
                                              "io_priority.class"));
    to.io_priority = {priority_class, from.io_priority().priority()};
  }
  if (!from.has_scheduler()) return OkStatus();
  const api::LinuxScheduler& wanted = from.scheduler();
  oci::Scheduler& scheduler = to.scheduler.emplace();
  ASSIGN_OR_RETURN(scheduler.policy, WordOf<api::LinuxSchedulerPolicy>(
                                         wanted.policy(), "scheduler.policy"));
  ASSIGN_OR_RETURN(scheduler.flags, WordsOf<api::LinuxSchedulerFlag>(
                                        wanted.flags(), "scheduler.flags"));
  scheduler.nice = wanted.nice();
  scheduler.priority = wanted.priority();
  scheduler.runtime = wanted.runtime();
  scheduler.deadline = wanted.deadline();
  scheduler.period = wanted.period();
  return OkStatus();
}

Status AdjustMemoryAndDevices(const api::LinuxContainerAdjustment& from,
                              oci::Linux& to) {
  for (const auto& [name, device] : from.net_devices()) {
    if (IsRemoval(name)) {
      to.net_devices.erase(NameIn(name));
    } else {
      to.net_devices[name] = device.name();
    }
  }
  if (!from.has_memory_policy()) return OkStatus();
  const api::LinuxMemoryPolicy& wanted = from.memory_policy();
  oci::MemoryPolicy& policy = to.memory_policy.emplace();
  ASSIGN_OR_RETURN(policy.mode,
                   WordOf<api::MpolMode>(wanted.mode(), "memory_policy.mode"));
  ASSIGN_OR_RETURN(policy.flags, WordsOf<api::MpolFlag>(wanted.flags(),
                                                        "memory_policy.flags"));
  policy.nodes = wanted.nodes();
  return OkStatus();
}

// Removals first: a name may be taken away and set anew.
void AdjustMap(const google::protobuf::Map<std::string, std::string>& from,
               std::map<std::string, std::string>& to) {
  for (const auto& [name, value] : from) {
    if (IsRemoval(name)) to.erase(NameIn(name));
  }
  for (const auto& [name, value] : from) {
    if (!IsRemoval(name)) to[name] = value;
  }
}

void AdjustEnv(const api::ContainerAdjustment& from,
               std::vector<std::string>& env) {
  std::set<std::string> removed;
  std::vector<std::string> set;
  for (const api::KeyValue& entry : from.env()) {
    if (IsRemoval(entry.key())) {
      removed.insert(NameIn(entry.key()));
    } else {
      set.push_back(entry.key() + "=" + entry.value());
    }
  }
  std::erase_if(env, [&](const std::string& entry) {
    return removed.count(entry.substr(0, entry.find('='))) > 0;
  });
  env = MergeEnv(env, set);
}

void AdjustMounts(const api::ContainerAdjustment& from, oci::Spec& spec) {
  if (from.mounts().empty()) return;
  const bool mapped = spec.linux.Find(oci::NamespaceType::kUser) != nullptr;
  std::set<std::string> touched;
  std::vector<oci::MountSpec> mounts;
  for (const api::Mount& mount : from.mounts()) {
    touched.insert(CleanPath(NameIn(mount.destination())));
    if (IsRemoval(mount.destination())) continue;
    oci::MountSpec added;
    added.destination = mount.destination();
    added.type = mount.type();
    added.source = mount.source();
    added.options = ToVector(mount.options());
    // Of the pod's ids, as all binds of its containers are.
    if (mapped && added.type == "bind") added.options.push_back("idmap");
    mounts.push_back(std::move(added));
  }
  std::erase_if(spec.mounts, [&](const oci::MountSpec& mount) {
    return touched.count(CleanPath(mount.destination)) > 0;
  });
  spec.mounts = MergeMounts(std::move(spec.mounts), mounts);
}

void AddHooks(const google::protobuf::RepeatedPtrField<api::Hook>& from,
              std::vector<oci::Hook>& to) {
  for (const api::Hook& hook : from) {
    oci::Hook& added = to.emplace_back();
    added.path = hook.path();
    added.args = ToVector(hook.args());
    added.env = ToVector(hook.env());
    if (hook.has_timeout()) {
      added.timeout = static_cast<int>(
          std::clamp<int64_t>(hook.timeout().value(), 1, 1 << 20));
    }
  }
}

void AdjustHooks(const api::Hooks& from, oci::Hooks& to) {
  AddHooks(from.prestart(), to.prestart);
  AddHooks(from.create_runtime(), to.create_runtime);
  AddHooks(from.create_container(), to.create_container);
  AddHooks(from.start_container(), to.start_container);
  AddHooks(from.poststart(), to.poststart);
  AddHooks(from.poststop(), to.poststop);
}

// "nofile", "RLIMIT_NOFILE".
std::string RlimitName(const std::string& type) {
  std::string name = type;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return std::toupper(c); });
  return StartsWith(name, "RLIMIT_") ? name : "RLIMIT_" + name;
}

void AdjustRlimits(const api::ContainerAdjustment& from,
                   std::vector<oci::Rlimit>& to) {
  for (const api::POSIXRlimit& limit : from.rlimits()) {
    const std::string type = RlimitName(limit.type());
    std::erase_if(to, [&](const oci::Rlimit& it) { return it.type == type; });
    to.push_back({type, limit.soft(), limit.hard()});
  }
}

Status AdjustDevices(const api::LinuxContainerAdjustment& from,
                     oci::Linux& linux) {
  if (!linux.resources) linux.resources.emplace();
  for (const api::LinuxDevice& device : from.devices()) {
    const std::string path = NameIn(device.path());
    std::erase_if(linux.devices, [&](const oci::DeviceNode& node) {
      return node.path == path;
    });
    if (IsRemoval(device.path())) continue;
    if (device.type().size() != 1) {
      return InvalidArgument("NRI adjustment linux.devices " + Quoted(path) +
                             ": type " + Quoted(device.type()));
    }
    oci::DeviceNode& node = linux.devices.emplace_back();
    node.path = path;
    node.type = device.type()[0];
    node.major = device.major();
    node.minor = device.minor();
    if (device.has_file_mode()) node.file_mode = device.file_mode().value();
    if (device.has_uid()) node.uid = device.uid().value();
    if (device.has_gid()) node.gid = device.gid().value();
    if (node.type == 'p') continue;
    oci::DeviceRule& rule = linux.resources->devices.emplace_back();
    rule.allow = true;
    rule.type = node.type == 'u' ? 'c' : node.type;
    rule.major = node.major;
    rule.minor = node.minor;
  }
  for (const api::LinuxDeviceCgroup& device : from.resources().devices()) {
    const std::string& type = device.type();
    if ((!type.empty() && type != "a" && type != "b" && type != "c") ||
        device.access().find_first_not_of("rwm") != std::string::npos) {
      return InvalidArgument("NRI adjustment linux.resources.devices: type " +
                             Quoted(type) + ", access " +
                             Quoted(device.access()));
    }
    oci::DeviceRule& rule = linux.resources->devices.emplace_back();
    rule.allow = device.allow();
    rule.type = type.empty() ? 'a' : type[0];
    if (device.has_major()) rule.major = device.major().value();
    if (device.has_minor()) rule.minor = device.minor().value();
    if (!device.access().empty()) rule.access = device.access();
  }
  return OkStatus();
}

Status AdjustNamespaces(const api::LinuxContainerAdjustment& from,
                        oci::Linux& linux) {
  for (const api::LinuxNamespace& one : from.namespaces()) {
    const std::string name = NameIn(one.type());
    const auto type = oci::NamespaceTypeFromName(name);
    if (!type) {
      return InvalidArgument("NRI adjustment linux.namespaces: type " +
                             Quoted(name));
    }
    std::erase_if(linux.namespaces, [&](const oci::NamespaceSpec& it) {
      return it.type == *type;
    });
    if (!IsRemoval(one.type())) linux.namespaces.push_back({*type, one.path()});
  }
  return OkStatus();
}

oci::Seccomp SeccompOf(const api::LinuxSeccomp& from) {
  oci::Seccomp seccomp;
  seccomp.default_action = from.default_action();
  if (from.has_default_errno()) {
    seccomp.default_errno_ret = from.default_errno().value();
  }
  seccomp.architectures = ToVector(from.architectures());
  if (!from.flags().empty()) seccomp.flags = ToVector(from.flags());
  seccomp.listener_path = from.listener_path();
  seccomp.listener_metadata = from.listener_metadata();
  for (const api::LinuxSyscall& syscall : from.syscalls()) {
    oci::SeccompRule& rule = seccomp.syscalls.emplace_back();
    rule.names = ToVector(syscall.names());
    rule.action = syscall.action();
    if (syscall.has_errno_ret()) rule.errno_ret = syscall.errno_ret().value();
    for (const api::LinuxSeccompArg& arg : syscall.args()) {
      rule.args.push_back(
          {arg.index(), arg.value(), arg.value_two(), arg.op()});
    }
  }
  return seccomp;
}

}  // namespace

Status NriStep(const SpecInputs& in, oci::Spec& spec) {
  if (in.adjustment == nullptr) return OkStatus();
  const api::ContainerAdjustment& from = *in.adjustment;
  RETURN_IF_ERROR(CheckSupported(from.linux()));
  AdjustMap(from.annotations(), spec.annotations);
  AdjustEnv(from, spec.process->env);
  if (!from.args().empty()) spec.process->args = ToVector(from.args());
  AdjustHooks(from.hooks(), spec.hooks);
  AdjustRlimits(from, spec.process->rlimits);
  AdjustMap(from.linux().sysctl(), spec.linux.sysctl);
  RETURN_IF_ERROR(AdjustDevices(from.linux(), spec.linux));
  RETURN_IF_ERROR(AdjustNamespaces(from.linux(), spec.linux));
  AdjustMounts(from, spec);
  RETURN_IF_ERROR(AdjustScheduling(from.linux(), *spec.process));
  RETURN_IF_ERROR(AdjustMemoryAndDevices(from.linux(), spec.linux));
  if (from.linux().has_seccomp_policy()) {
    spec.linux.seccomp = SeccompOf(from.linux().seccomp_policy());
  }
  return OkStatus();
}

}  // namespace berth::sandbox
