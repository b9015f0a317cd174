#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/strings.h"
#include "oci/spec/features.h"
#include "oci/spec/validate.h"
#include "oci/spec/validate_parts.h"

namespace berth::oci {
namespace {

constexpr std::string_view kIpcSysctls[] = {
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
    "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
};

bool Known(const std::vector<std::string>& list, const std::string& word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

Status CheckAction(const std::string& action,
                   const std::optional<uint32_t>& errno_ret) {
  if (!Known(SeccompActions(), action)) {
    return InvalidArgument("linux.seccomp: unknown action " + Quoted(action));
  }
  if (errno_ret.has_value() && action != "SCMP_ACT_ERRNO" &&
      action != "SCMP_ACT_TRACE") {
    return InvalidArgument("linux.seccomp: errnoRet with " + action);
  }
  return OkStatus();
}

Status CheckRule(const SeccompRule& rule) {
  if (rule.names.empty()) {
    return InvalidArgument("linux.seccomp: a rule without names");
  }
  RETURN_IF_ERROR(CheckAction(rule.action, rule.errno_ret));
  // The process that loads the filter must still say so (as in runc).
  if (rule.action == "SCMP_ACT_NOTIFY" && Known(rule.names, "write")) {
    return InvalidArgument("linux.seccomp: SCMP_ACT_NOTIFY for write");
  }
  for (const SeccompArg& arg : rule.args) {
    if (arg.index > 5) {
      return InvalidArgument("linux.seccomp: argument index above 5");
    }
    if (!Known(SeccompOperators(), arg.op)) {
      return InvalidArgument("linux.seccomp: unknown operator " +
                             Quoted(arg.op));
    }
  }
  return OkStatus();
}

// Who is told of calls must be there to be told.
Status CheckListener(const Seccomp& seccomp) {
  if (seccomp.default_action == "SCMP_ACT_NOTIFY") {
    return InvalidArgument(
        "linux.seccomp: SCMP_ACT_NOTIFY as the default action");
  }
  const bool notifies = Notifies(seccomp);
  if (notifies && seccomp.listener_path.empty()) {
    return InvalidArgument(
        "linux.seccomp: SCMP_ACT_NOTIFY without a listenerPath");
  }
  const bool waits =
      seccomp.flags.has_value() &&
      Known(*seccomp.flags, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV");
  if (waits && !notifies) {
    return InvalidArgument(
        "linux.seccomp: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV without "
        "SCMP_ACT_NOTIFY");
  }
  return OkStatus();
}

// The first separator decides what the other one means (sysctl.d(5)):
// "net/ipv4/conf/eth0.1/forwarding" names the interface eth0.1.
std::string DottedName(const std::string& name) {
  const size_t first = name.find_first_of("./");
  if (first == std::string::npos || name[first] == '.') return name;
  std::string dotted = name;
  for (char& c : dotted) {
    if (c == '/') {
      c = '.';
    } else if (c == '.') {
      c = '/';
    }
  }
  return dotted;
}

// In dotted form a folder "." or ".." reads "/" or "//".
bool Climbs(const std::string& dotted) {
  const std::vector<std::string> folders = Split(dotted, '.');
  return std::any_of(folders.begin(), folders.end(), [](const auto& folder) {
    return folder.empty() || folder == "/" || folder == "//";
  });
}

// The namespace that a sysctl belongs to; nothing for those of the host.
std::optional<NamespaceType> OwnerOf(const std::string& name) {
  if (StartsWith(name, "net.")) return NamespaceType::kNetwork;
  if (StartsWith(name, "fs.mqueue.")) return NamespaceType::kIpc;
  if (StartsWith(name, "user.")) return NamespaceType::kUser;
  if (name == "kernel.domainname") return NamespaceType::kUts;
  for (const std::string_view ipc : kIpcSysctls) {
    if (name == ipc) return NamespaceType::kIpc;
  }
  return std::nullopt;
}

Status CheckLimit(const char* what, const std::optional<int64_t>& value) {
  if (value.has_value() && *value < -1) {
    return InvalidArgument(std::string("linux.resources.") + what +
                           " is below -1");
  }
  return OkStatus();
}

Status CheckList(const char* what, const std::string& list) {
  if (list.find_first_not_of("0123456789,- \n") == std::string::npos) {
    return OkStatus();
  }
  return InvalidArgument(std::string("linux.resources.") + what + " " +
                         Quoted(list) + " is no list of numbers");
}

// These become file names, or parts of them.
Status CheckNames(const Resources& resources) {
  for (const auto& [file, value] : resources.unified) {
    const size_t dot = file.find('.');
    if (dot == 0 || dot == std::string::npos ||
        file.find('/') != std::string::npos) {
      return InvalidArgument("linux.resources.unified: " + Quoted(file) +
                             " is no file of a controller");
    }
  }
  for (const HugepageLimit& limit : resources.hugepages) {
    const std::string& size = limit.page_size;
    const size_t unit = size.find_first_not_of("0123456789");
    if (unit == 0 || unit == std::string::npos ||
        (size.substr(unit) != "KB" && size.substr(unit) != "MB" &&
         size.substr(unit) != "GB")) {
      return InvalidArgument("linux.resources.hugepageLimits: " + Quoted(size) +
                             " is no page size");
    }
  }
  return OkStatus();
}

Status CheckWeight(const std::optional<uint32_t>& weight) {
  if (!weight.has_value() || *weight == 0) return OkStatus();
  if (*weight >= 10 && *weight <= 1000) return OkStatus();
  return InvalidArgument("linux.resources.blockIO weight is not in 10..1000");
}

}  // namespace

Status CheckSeccomp(const Seccomp& seccomp) {
  RETURN_IF_ERROR(
      CheckAction(seccomp.default_action, seccomp.default_errno_ret));
  for (const std::string& arch : seccomp.architectures) {
    if (!Known(SeccompArchitectures(), arch)) {
      return InvalidArgument("linux.seccomp: unknown architecture " +
                             Quoted(arch));
    }
  }
  if (seccomp.flags.has_value()) {
    for (const std::string& flag : *seccomp.flags) {
      if (!Known(SeccompFlags(), flag)) {
        return InvalidArgument("linux.seccomp: unknown flag " + Quoted(flag));
      }
    }
  }
  for (const SeccompRule& rule : seccomp.syscalls) {
    RETURN_IF_ERROR(CheckRule(rule));
  }
  for (const Seccomp& other : seccomp.also) {
    RETURN_IF_ERROR(CheckSeccomp(other));
    if (Notifies(other)) {
      return InvalidArgument("linux.seccomp: a second profile with a listener");
    }
  }
  return CheckListener(seccomp);
}

Status CheckSysctls(const Linux& linux) {
  for (const auto& [name, value] : linux.sysctl) {
    const std::string dotted = DottedName(name);
    const auto owner = OwnerOf(dotted);
    if (dotted == "kernel.hostname") {
      return InvalidArgument("linux.sysctl: use hostname for " + name);
    }
    if (!owner.has_value() || Climbs(dotted)) {
      return InvalidArgument("linux.sysctl: " + Quoted(name) +
                             " belongs to no namespace");
    }
    if (linux.Find(*owner) == nullptr) {
      return InvalidArgument("linux.sysctl: " + name + " without a " +
                             NamespaceTypeName(*owner) + " namespace");
    }
  }
  return OkStatus();
}

Status ValidateResources(const Resources& resources) {
  const MemoryLimits& memory = resources.memory;
  const CpuLimits& cpu = resources.cpu;
  RETURN_IF_ERROR(CheckLimit("memory.limit", memory.limit));
  RETURN_IF_ERROR(CheckLimit("memory.reservation", memory.reservation));
  RETURN_IF_ERROR(CheckLimit("memory.swap", memory.swap));
  RETURN_IF_ERROR(CheckLimit("cpu.quota", cpu.quota));
  RETURN_IF_ERROR(CheckLimit("pids.limit", resources.pids_limit));
  RETURN_IF_ERROR(CheckList("cpu.cpus", cpu.cpus));
  RETURN_IF_ERROR(CheckList("cpu.mems", cpu.mems));
  if (memory.limit.value_or(0) > 0 && memory.swap.value_or(0) > 0 &&
      *memory.swap < *memory.limit) {
    return InvalidArgument(
        "linux.resources.memory.swap (memory and swap together) is below "
        "memory.limit");
  }
  if (cpu.idle.has_value() && *cpu.idle != 0 && *cpu.idle != 1) {
    return InvalidArgument("linux.resources.cpu.idle is neither 0 nor 1");
  }
  RETURN_IF_ERROR(CheckWeight(resources.block_io.weight));
  for (const BlockIoWeight& entry : resources.block_io.weight_devices) {
    RETURN_IF_ERROR(CheckWeight(entry.weight));
  }
  return CheckNames(resources);
}

}  // namespace berth::oci
