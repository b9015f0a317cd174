// What a container may do: capabilities, seccomp profiles, masked paths.
#include "sandbox/spec/security.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(CapabilityTest, AllFirstThenSingleOnes) {
  const auto known = AllCapabilities(40);
  ContainerSecurity security;
  EXPECT_EQ(CapabilitySets(security, known)->bounding.size(), 14u);
  security.add_drop_capabilities("all");
  security.add_add_capabilities("net_raw");
  ASSERT_OK_AND_ASSIGN(const oci::Capabilities sets,
                       CapabilitySets(security, known));
  EXPECT_THAT(sets.bounding, ElementsAre("CAP_NET_RAW"));
  EXPECT_THAT(sets.inheritable, IsEmpty());
  EXPECT_THAT(sets.ambient, IsEmpty());
  security.add_add_capabilities("no_such");
  EXPECT_THAT(CapabilitySets(security, known),
              StatusIs(StatusCode::kInvalidArgument));
}

// Whether a rule of the profile allows it without conditions.
bool Allows(const oci::Seccomp& profile, const std::string& name) {
  return std::any_of(
      profile.syscalls.begin(), profile.syscalls.end(),
      [&](const oci::SeccompRule& rule) {
        return rule.action == "SCMP_ACT_ALLOW" && rule.args.empty() &&
               std::count(rule.names.begin(), rule.names.end(), name) > 0;
      });
}

TEST(SeccompTest, CapabilitiesWidenTheDefaultProfile) {
  const oci::Seccomp plain = DefaultSeccompProfile(DefaultCapabilities());
  EXPECT_EQ(plain.default_action, "SCMP_ACT_ERRNO");
  for (const char* name : {"read", "execve", "futex", "epoll_wait", "chroot"}) {
    EXPECT_TRUE(Allows(plain, name)) << name;
  }
  for (const char* name :
       {"keyctl", "add_key", "io_uring_setup", "userfaultfd", "mount", "bpf",
        "unshare", "setns", "clone3", "kexec_load", "init_module", "reboot",
        "open_by_handle_at", "perf_event_open", "swapon"}) {
    EXPECT_FALSE(Allows(plain, name)) << name;
  }
  EXPECT_TRUE(Allows(DefaultSeccompProfile({"CAP_SYS_ADMIN"}), "mount"));
  EXPECT_TRUE(Allows(DefaultSeccompProfile({"CAP_SYS_ADMIN"}), "clone3"));
}

// Whether a rule lets socket(2) through for this first argument.
bool AllowsFamily(const oci::Seccomp& profile, uint64_t argument) {
  return std::any_of(profile.syscalls.begin(), profile.syscalls.end(),
                     [&](const oci::SeccompRule& rule) {
                       if (rule.names != std::vector<std::string>{"socket"}) {
                         return false;
                       }
                       const oci::SeccompArg& arg = rule.args.at(0);
                       return arg.op == "SCMP_CMP_LT" ? argument < arg.value
                                                      : argument == arg.value;
                     });
}

TEST(SeccompTest, SomeFamiliesOfSocketsAreRefusedHoweverTheyAreWritten) {
  const oci::Seccomp profile = DefaultSeccompProfile(DefaultCapabilities());
  for (uint64_t family = 0; family < AF_MAX; ++family) {
    EXPECT_EQ(AllowsFamily(profile, family),
              family != AF_ALG && family != AF_VSOCK)
        << family;
    EXPECT_FALSE(AllowsFamily(profile, family | 1ULL << 32)) << family;
  }
}

TEST(SeccompTest, ReadsDockersConditions) {
  const char profile[] = R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
      {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
      {"names": ["mount"], "action": "SCMP_ACT_ALLOW",
       "includes": {"caps": ["CAP_SYS_ADMIN"]}},
      {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
       "excludes": {"caps": ["CAP_SYS_ADMIN"]}}]})";
  ASSERT_OK_AND_ASSIGN(const oci::Seccomp plain,
                       ParseSeccompProfile(profile, {}));
  EXPECT_TRUE(Allows(plain, "read"));
  EXPECT_FALSE(Allows(plain, "mount"));
  EXPECT_TRUE(Allows(plain, "clone"));
  EXPECT_TRUE(
      Allows(*ParseSeccompProfile(profile, {"CAP_SYS_ADMIN"}), "mount"));
  EXPECT_THAT(ParseSeccompProfile("{}", {}),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseSeccompProfile("[1", {}),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(MaskedPathsTest, AreThoseOfTheMachine) {
  TempDir sysfs;
  for (const char* path : {"cpu0/thermal_throttle", "cpu12/thermal_throttle",
                           "cpu1", "cpufreq", "other/thermal_throttle"}) {
    sysfs.MakeDirectory(std::string("devices/system/cpu/") + path);
  }
  const std::vector<std::string> paths = MaskedPathsOf(sysfs.path());
  EXPECT_THAT(paths, Contains("/sys/devices/virtual/powercap"));
  EXPECT_THAT(paths, Contains("/proc/interrupts"));
  EXPECT_THAT(std::vector<std::string>(paths.end() - 2, paths.end()),
              ElementsAre("/sys/devices/system/cpu/cpu0/thermal_throttle",
                          "/sys/devices/system/cpu/cpu12/thermal_throttle"));
  EXPECT_EQ(paths.size(), MaskedPathsOf("/no/such").size() + 2);
}

TEST(SeccompTest, PrivilegedHasNone) {
  ContainerSecurity security;
  security.mutable_seccomp()->set_type(SecurityProfile::RUNTIME_DEFAULT);
  EXPECT_TRUE(ResolveSeccomp(security, {})->has_value());
  security.set_privileged(true);
  EXPECT_FALSE(ResolveSeccomp(security, {})->has_value());
}

TEST(SeccompTest, OfARegistryIsCutDownToItsBase) {
  const std::string json =
      R"({"defaultAction": "SCMP_ACT_ERRNO",
          "syscalls": [{"names": ["mount", "read"],
                        "action": "SCMP_ACT_ALLOW"}]})";
  ContainerSecurity security;
  SecurityProfile& profile = *security.mutable_seccomp();
  profile.set_type(SecurityProfile::OCI);
  profile.set_oci_ref("r.test/p@sha256:1");
  profile.set_profile(json);
  ASSERT_OK_AND_ASSIGN(std::optional<oci::Seccomp> seccomp,
                       ResolveSeccomp(security, DefaultCapabilities()));
  ASSERT_TRUE(seccomp.has_value());
  EXPECT_TRUE(Allows(*seccomp, "mount"));
  ASSERT_EQ(seccomp->also.size(), 1u);
  EXPECT_EQ(seccomp->also[0], DefaultSeccompProfile(DefaultCapabilities()));

  profile.set_base_localhost_ref("no/path");
  EXPECT_THAT(ResolveSeccomp(security, {}),
              StatusIs(StatusCode::kInvalidArgument));
  profile.clear_base_localhost_ref();
  // The host's sockets are not for it to choose from.
  profile.set_profile(
      R"({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/x",
          "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_NOTIFY"}]})");
  EXPECT_THAT(ResolveSeccomp(security, {}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("listener")));
}

}  // namespace
}  // namespace berth::sandbox
