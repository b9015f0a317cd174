// Parsing, writing and checking a config.json.
#include "oci/spec/spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/json.h"
#include "base/testing/fuzz.h"
#include "base/testing/json.h"
#include "base/testing/status_matchers.h"
#include "oci/spec/annotations.h"
#include "oci/spec/features.h"
#include "oci/spec/parse.h"
#include "oci/spec/serialize.h"
#include "oci/spec/validate.h"

namespace berth::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Every property that is carried out, each with a value of its own.
constexpr char kFull[] = R"({
  "ociVersion": "1.1.0",
  "process": {
    "terminal": true,
    "consoleSize": {"height": 25, "width": 80},
    "user": {"uid": 1, "gid": 2, "umask": 63, "additionalGids": [5, 6]},
    "args": ["sh", "-c", "echo \"hi\"\n"], "env": ["A=b", "LÄNG=ü"],
    "cwd": "/home",
    "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_CHOWN"],
      "inheritable": ["CAP_FOWNER"], "permitted": ["CAP_SETUID"],
      "ambient": ["CAP_SETGID"]},
    "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024,
                 "hard": 18446744073709551615}],
    "noNewPrivileges": true, "oomScoreAdj": -998,
    "apparmorProfile": "berth-default", "selinuxLabel": "a:b:c"},
  "root": {"path": "rootfs", "readonly": true},
  "hostname": "h", "domainname": "d",
  "mounts": [{"destination": "/data", "type": "bind", "source": "/srv",
    "options": ["rbind", "ro"],
    "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}],
    "gidMappings": [{"containerID": 1, "hostID": 2000, "size": 20}]}],
  "hooks": {
    "prestart": [{"path": "/a", "args": ["a", "b"], "env": ["X=y"],
                  "timeout": 3}],
    "createRuntime": [{"path": "/b"}], "createContainer": [{"path": "/c"}],
    "startContainer": [{"path": "/d"}], "poststart": [{"path": "/e"}],
    "poststop": [{"path": "/f"}]},
  "annotations": {"k": "v"},
  "linux": {
    "uidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}],
    "gidMappings": [{"containerID": 0, "hostID": 200000, "size": 65536}],
    "sysctl": {"net.core.somaxconn": "256"},
    "cgroupsPath": "/pods/x",
    "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "uts"},
      {"type": "network", "path": "/run/netns/a"}, {"type": "user"},
      {"type": "ipc"}, {"type": "cgroup"}],
    "devices": [{"path": "/dev/fuse", "type": "c", "major": 10,
      "minor": 229, "fileMode": 438, "uid": 7, "gid": 8}],
    "resources": {
      "devices": [{"allow": false, "type": "a", "access": "rwm"},
                  {"allow": true, "type": "c", "major": 10, "minor": -1,
                   "access": "rw"}],
      "memory": {"limit": 9007199254740993, "reservation": 5, "swap": -1,
        "swappiness": 60, "disableOOMKiller": true,
        "checkBeforeUpdate": true},
      "cpu": {"shares": 512, "quota": 50000, "burst": 1000,
        "period": 100000, "realtimeRuntime": 11, "realtimePeriod": 12,
        "cpus": "0-1", "mems": "0", "idle": 1},
      "pids": {"limit": 100},
      "blockIO": {"weight": 500, "leafWeight": 300,
        "weightDevice": [{"major": 8, "minor": 0, "weight": 400,
                          "leafWeight": 200}],
        "throttleReadBpsDevice": [{"major": 8, "minor": 1, "rate": 1}],
        "throttleWriteBpsDevice": [{"major": 8, "minor": 2, "rate": 2}],
        "throttleReadIOPSDevice": [{"major": 8, "minor": 3, "rate": 3}],
        "throttleWriteIOPSDevice": [{"major": 8, "minor": 4, "rate": 4}]},
      "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}],
      "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}},
      "network": {"classID": 1048577,
        "priorities": [{"name": "eth0", "priority": 500}]},
      "unified": {"memory.high": "10M"}},
    "seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
      "architectures": ["SCMP_ARCH_X86_64"],
      "flags": ["SECCOMP_FILTER_FLAG_LOG"],
      "syscalls": [{"names": ["read", "write"], "action": "SCMP_ACT_ALLOW",
        "args": [{"index": 1, "value": 18446744073709551615, "valueTwo": 2,
                  "op": "SCMP_CMP_MASKED_EQ"}]},
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]},
    "rootfsPropagation": "rslave",
    "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"],
    "mountLabel": "l", "personality": {"domain": "LINUX32"}}
})";

Spec Full() {
  auto spec = ParseSpec(kFull);
  EXPECT_OK(spec);
  return spec.ok() ? *spec : Spec();
}

// The full document with one value at a JSON pointer replaced.
StatusOr<Spec> With(const char* pointer, const Json& value) {
  return ParseSpec(DumpJson(berth::With(Parsed(kFull), pointer, value)));
}

TEST(ParseSpecTest, KeepsSixtyFourBitNumbersExact) {
  const Spec spec = Full();
  EXPECT_EQ(spec.linux.resources->memory.limit, 9007199254740993);
  EXPECT_EQ(spec.process->rlimits[0].hard, UINT64_MAX);
  EXPECT_EQ(spec.linux.seccomp->syscalls[0].args[0].value, UINT64_MAX);
}

TEST(ParseSpecTest, TellsUnsetFromZero) {
  ASSERT_OK_AND_ASSIGN(const Resources none, ParseResources("{}"));
  EXPECT_EQ(none, Resources());
  ASSERT_OK_AND_ASSIGN(const Resources zero,
                       ParseResources(R"({"pids": {"limit": 0}})"));
  EXPECT_EQ(zero.pids_limit, 0);
}

TEST(ParseSpecTest, IgnoresUnknownProperties) {
  ASSERT_OK_AND_ASSIGN(const Spec spec, With("/linux/future", 1));
  EXPECT_EQ(spec, Full());
}

TEST(ParseSpecTest, RefusesWhatIsNotJson) {
  EXPECT_THAT(ParseSpec("{"), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseSpec("[]"), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseSpec(std::string(kMaxSpecBytes + 1, ' ')),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("larger")));
}

TEST(ParseSpecTest, NamesTheWrongField) {
  EXPECT_THAT(
      With("/process/user/uid", -1),
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("process.user.uid")));
  EXPECT_THAT(
      With("/mounts/0/options", "ro"),
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("mounts[0].options")));
  EXPECT_THAT(With("/linux/namespaces/0/type", "pidd"),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("linux.namespaces[0].type")));
  EXPECT_THAT(With("/linux/resources/memory/limit", 1e300),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("linux.resources.memory.limit")));
}

TEST(ParseSpecTest, NamesTheNumberThatADeviceLacks) {
  const Json block = At(Parsed(kFull), "/linux/resources/blockIO");
  for (const auto& [member, value] : block.members()) {
    if (!value.is_array()) continue;
    for (const char* number : {"major", "minor"}) {
      Json device = value.elements()[0];
      device.erase(number);
      EXPECT_THAT(With(("/linux/resources/blockIO/" + member).c_str(),
                       Json::array({device})),
                  StatusIs(StatusCode::kInvalidArgument,
                           HasSubstr("linux.resources.blockIO." + member +
                                     "[0]." + number + " is missing")));
    }
  }
}

TEST(ApplyAnnotationsTest, SetsWhatHasNoMember) {
  Spec spec;
  spec.process.emplace();
  spec.annotations = {{"run.oci.keep_original_groups", "1"},
                      {"run.oci.mount_context_type", "rootcontext"},
                      {"run.oci.hooks.stdout", "/out"},
                      {"run.oci.other", "x"}};
  ASSERT_OK(ApplyAnnotations(spec));
  EXPECT_TRUE(spec.process->user.keep_groups);
  EXPECT_EQ(spec.linux.mount_label_option, "rootcontext");
  EXPECT_EQ(spec.hooks.output, "/out");
  EXPECT_EQ(spec.hooks.errors, "");
}

TEST(ApplyAnnotationsTest, RefusesByName) {
  for (const auto& [name, value] : std::map<std::string, std::string>{
           {"run.oci.mount_context_type", "x"},
           {"run.oci.hooks.stderr", "relative"}}) {
    Spec spec;
    spec.annotations = {{name, value}};
    EXPECT_THAT(ApplyAnnotations(spec),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr(name)));
  }
}

TEST(ParseSpecTest, AnnotationsHaveNoPowerByThemselves) {
  const auto spec = With("/annotations", {{"run.oci.keep_original_groups", "1"},
                                          {"run.oci.hooks.stdout", "/out"}});
  ASSERT_OK(spec);
  EXPECT_FALSE(spec->process->user.keep_groups);
  EXPECT_EQ(spec->hooks.output, "");
}

TEST(SerializeTest, ParsesBackToTheSame) {
  const Spec spec = Full();
  EXPECT_THAT(ParseSpec(SerializeSpec(spec)), IsOkAndHolds(spec));
  EXPECT_THAT(ParseProcess(SerializeProcess(*spec.process)),
              IsOkAndHolds(*spec.process));
  EXPECT_THAT(ParseResources(SerializeResources(*spec.linux.resources)),
              IsOkAndHolds(*spec.linux.resources));
  EXPECT_THAT(ParseSpec(SerializeSpec(Spec())), IsOkAndHolds(Spec()));
}

// Nothing that is parsed may be forgotten on the way out.
TEST(SerializeTest, WritesEveryMemberOfTheFullDocument) {
  EXPECT_EQ(Parsed(SerializeSpec(Full())), Parsed(kFull));
}

TEST(SerializeTest, EqualSeccompProfilesGiveEqualText) {
  const Seccomp profile = *Full().linux.seccomp;
  EXPECT_EQ(SerializeSeccomp(profile), SerializeSeccomp(profile));
  Seccomp other = profile;
  other.syscalls[1].errno_ret = 1;
  EXPECT_NE(SerializeSeccomp(profile), SerializeSeccomp(other));
}

TEST(ValidateTest, AcceptsTheFullDocument) { EXPECT_OK(Validate(Full())); }

TEST(ValidateTest, AcceptsAConfigWithoutProcess) {
  Spec spec = Full();
  spec.process.reset();
  EXPECT_OK(Validate(spec));
}

struct BadCase {
  const char* why;
  void (*spoil)(Spec& spec);
};

const BadCase kBadCases[] = {
    {"ociVersion", [](Spec& s) { s.oci_version = "2.0.0"; }},
    {"ociVersion", [](Spec& s) { s.oci_version = ""; }},
    {"root.path", [](Spec& s) { s.root.path = ""; }},
    {"process.args", [](Spec& s) { s.process->args.clear(); }},
    {"process.cwd", [](Spec& s) { s.process->cwd = "home"; }},
    {"NUL", [](Spec& s) { s.process->env[0] = std::string("A\0B", 3); }},
    {"is there twice",
     [](Spec& s) { s.process->rlimits.push_back(s.process->rlimits[0]); }},
    {"unknown type", [](Spec& s) { s.process->rlimits[0].type = "NOFILE"; }},
    {"process.user", [](Spec& s) { s.process->user.uid = 4294967295; }},
    {"process.user", [](Spec& s) { s.process->user.gid = 4294967295; }},
    {"process.user",
     [](Spec& s) {
       s.process->user.additional_gids = {5, 4294967295};
     }},
    {"oomScoreAdj", [](Spec& s) { s.process->oom_score_adj = 1001; }},
    {"network is there twice",
     [](Spec& s) {
       s.linux.namespaces.push_back({NamespaceType::kNetwork, ""});
     }},
    {"uts namespace",
     [](Spec& s) { s.linux.namespaces.erase(s.linux.namespaces.begin() + 2); }},
    {"without a mount namespace",
     [](Spec& s) { s.linux.namespaces.erase(s.linux.namespaces.begin() + 1); }},
    {"needs linux.uidMappings", [](Spec& s) { s.linux.uid_mappings.clear(); }},
    {"belongs to no namespace",
     [](Spec& s) {
       s.linux.sysctl = {{"kernel.panic", "1"}};
     }},
    {"belongs to no namespace",
     [](Spec& s) {
       s.linux.sysctl = {{"net/../kernel/panic", "1"}};
     }},
    {"use hostname",
     [](Spec& s) {
       s.linux.sysctl = {{"kernel.hostname", ""}};
     }},
    {"unknown action",
     [](Spec& s) { s.linux.seccomp->default_action = "ALLOW"; }},
    {"argument index",
     [](Spec& s) { s.linux.seccomp->syscalls[0].args[0].index = 6; }},
    {"major of /dev/fuse is out of range: 4096",
     [](Spec& s) { s.linux.devices[0].major = 4096; }},
    {"major of /dev/fuse is out of range: -1",
     [](Spec& s) { s.linux.devices[0].major = -1; }},
    {"minor of /dev/fuse is out of range: 1048576",
     [](Spec& s) { s.linux.devices[0].minor = 1 << 20; }},
    {"rootfsPropagation", [](Spec& s) { s.linux.rootfs_propagation = "x"; }},
    {"hooks.poststop", [](Spec& s) { s.hooks.poststop[0].path = "f"; }},
    {"timeout", [](Spec& s) { s.hooks.prestart[0].timeout = 0; }},
    {"not both", [](Spec& s) { s.mounts[0].gid_mappings.clear(); }},
    {"unified",
     [](Spec& s) {
       s.linux.resources->unified = {{"a/b.c", ""}};
     }},
    {"below memory.limit", [](Spec& s) { s.linux.resources->memory.swap = 1; }},
    {"no page size",
     [](Spec& s) { s.linux.resources->hugepages[0].page_size = "../2MB"; }},
    {"list of numbers", [](Spec& s) { s.linux.resources->cpu.cpus = "all"; }},
};

TEST(ValidateTest, RefusesEachWrongFieldByName) {
  for (const BadCase& bad : kBadCases) {
    Spec spec = Full();
    bad.spoil(spec);
    EXPECT_THAT(Validate(spec),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr(bad.why)))
        << bad.why;
  }
}

TEST(ValidateTest, ReadsSlashesInSysctlNames) {
  Spec spec = Full();
  spec.linux.sysctl = {{"net/ipv4/conf/eth0.1/forwarding", "1"}};
  EXPECT_OK(Validate(spec));
}

TEST(NamespaceTypeTest, NamesAreThoseOfTheirTypes) {
  for (const char* const name :
       {"mount", "pid", "network", "ipc", "uts", "user", "cgroup"}) {
    const auto type = NamespaceTypeFromName(name);
    ASSERT_TRUE(type.has_value()) << name;
    EXPECT_STREQ(NamespaceTypeName(*type), name);
  }
  EXPECT_STREQ(ProcName(NamespaceType::kNetwork), "net");
  EXPECT_EQ(CloneFlag(NamespaceType::kUser), 0x10000000);
}

TEST(FeaturesTest, ListsWhatCallersLookFor) {
  const Json features = Parsed(
      FeaturesJson({.mount_options = {"ro", "rro"}, .capabilities = {}}));
  EXPECT_EQ(At(features, "/mountOptions"), Json::array({"ro", "rro"}));
  EXPECT_EQ(At(features, "/linux/cgroup/v2"), true);
  EXPECT_EQ(At(features, "/linux/seccomp/enabled"), true);
  EXPECT_EQ(At(features, "/ociVersionMin"), "1.0.0");
}

TEST(ParseTest, SurvivesAnyBytes) {
  Fuzz(
      {kFull, R"({"ociVersion":"1.0.2","root":{"path":"r"},)"
              R"("process":{"cwd":"/","args":["x"]}})"},
      {"null", "{}", "[]", "\"\"", "-1", "\\u0000", "..", "\"path\":\"\","},
      [](const std::string& text) {
        (void)ParseProcess(text);
        (void)ParseResources(text);
        const auto spec = ParseSpec(text);
        if (!spec.ok()) return false;
        (void)Validate(*spec);
        // What was read is written so that it reads the same.
        const std::string written = SerializeSpec(*spec);
        const auto again = ParseSpec(written);
        EXPECT_OK(again);
        if (again.ok()) {
          EXPECT_EQ(SerializeSpec(*again), written);
        }
        return true;
      },
      5'000);
}

}  // namespace
}  // namespace berth::oci
