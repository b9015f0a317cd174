#include "oci/spec/features.h"

#include "base/json.h"
#include "oci/spec/scheduling.h"

namespace berth::oci {

const std::vector<std::string>& SeccompActions() {
  static const auto* const list = new std::vector<std::string>{
      "SCMP_ACT_ALLOW",       "SCMP_ACT_ERRNO",        "SCMP_ACT_KILL",
      "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_LOG",
      "SCMP_ACT_NOTIFY",      "SCMP_ACT_TRACE",        "SCMP_ACT_TRAP"};
  return *list;
}

const std::vector<std::string>& SeccompOperators() {
  static const auto* const list = new std::vector<std::string>{
      "SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE",       "SCMP_CMP_EQ",
      "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"};
  return *list;
}

const std::vector<std::string>& SeccompArchitectures() {
  static const auto* const list = new std::vector<std::string>{
      "SCMP_ARCH_AARCH64",  "SCMP_ARCH_ARM",         "SCMP_ARCH_LOONGARCH64",
      "SCMP_ARCH_M68K",     "SCMP_ARCH_PARISC",      "SCMP_ARCH_PARISC64",
      "SCMP_ARCH_SH",       "SCMP_ARCH_SHEB",        "SCMP_ARCH_MIPS",
      "SCMP_ARCH_MIPS64",   "SCMP_ARCH_MIPS64N32",   "SCMP_ARCH_MIPSEL",
      "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC",
      "SCMP_ARCH_PPC64",    "SCMP_ARCH_PPC64LE",     "SCMP_ARCH_RISCV64",
      "SCMP_ARCH_S390",     "SCMP_ARCH_S390X",       "SCMP_ARCH_X32",
      "SCMP_ARCH_X86",      "SCMP_ARCH_X86_64"};
  return *list;
}

const std::vector<std::string>& SeccompFlags() {
  static const auto* const list = new std::vector<std::string>{
      "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
      "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
      "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"};
  return *list;
}

std::string FeaturesJson(const FeatureLists& lists) {
  Json features = {
      {"ociVersionMin", kOciVersionMin},
      {"ociVersionMax", kOciVersionMax},
      {"hooks",
       {"prestart", "createRuntime", "createContainer", "startContainer",
        "poststart", "poststop"}},
      {"mountOptions", lists.mount_options},
      {"potentiallyUnsafeConfigAnnotations",
       {"org.systemd.property.", "run.oci."}},
  };
  features["linux"] = {
      {"namespaces",
       {"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"}},
      {"capabilities", lists.capabilities},
      {"cgroup",
       {{"v1", true},
        {"v2", true},
        {"systemd", true},
        {"systemdUser", false},
        {"rdma", true}}},
      {"seccomp",
       {{"enabled", true},
        {"actions", SeccompActions()},
        {"operators", SeccompOperators()},
        {"archs", SeccompArchitectures()},
        {"knownFlags", SeccompFlags()},
        {"supportedFlags", SeccompFlags()}}},
      {"apparmor", {{"enabled", true}}},
      {"selinux", {{"enabled", true}}},
      {"intelRdt",
       {{"enabled", true}, {"schemata", true}, {"monitoring", true}}},
      {"netDevices", {{"enabled", true}}},
      {"memoryPolicy", {{"modes", MemoryModes()}, {"flags", MemoryFlags()}}},
      {"mountExtensions", {{"idmap", {{"enabled", true}}}}},
  };
  return DumpJson(features, 2);
}

}  // namespace berth::oci
