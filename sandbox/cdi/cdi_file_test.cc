#include "sandbox/cdi/cdi_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/testing/status_matchers.h"

namespace berth::sandbox {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kEnv[] = R"({"env": ["A=b"]})";

std::string File(const std::string& version, const std::string& kind,
                 const std::string& devices, const std::string& rest = "") {
  return R"({"cdiVersion": ")" + version + R"(", "kind": ")" + kind +
         R"(", "devices": [)" + devices + "]" + rest + "}";
}
std::string Device(const std::string& name, const std::string& edits = kEnv) {
  return R"({"name": ")" + name + R"(", "containerEdits": )" + edits + "}";
}
// The edits of a file's one device.
StatusOr<CdiEdits> Edits(const std::string& edits,
                         const std::string& version = "1.1.0") {
  ASSIGN_OR_RETURN(
      const CdiFile file,
      ParseCdiFile(File(version, "v.com/c", Device("d", edits)), "F"));
  return file.devices.at("d");
}

MATCHER_P(IsRefused, part, "") {
  return ::testing::ExplainMatchResult(
      StatusIs(StatusCode::kInvalidArgument,
               AllOf(HasSubstr("F"), HasSubstr(part))),
      arg, result_listener);
}

TEST(CdiFileTest, ReadsEachKindOfEdit) {
  ASSERT_OK_AND_ASSIGN(const CdiEdits edits, Edits(R"({
    "env": ["A=b=c", "D="],
    "deviceNodes": [
      {"path": "/dev/a"},
      {"path": "/dev//b/", "hostPath": "/dev/h", "type": "b", "major": 8,
       "minor": 1, "fileMode": 25008, "permissions": "rw", "uid": 5, "gid": 6},
      {"path": "/dev/c", "permissions": "none"}],
    "mounts": [
      {"hostPath": "/lib/x", "containerPath": "/lib//y", "options": ["ro"]},
      {"hostPath": "/lib/x", "containerPath": "/z", "options": ["ro", "bind"]},
      {"hostPath": "tmpfs", "containerPath": "/t", "type": "tmpfs",
       "options": ["size=64k"]}],
    "hooks": [
      {"hookName": "prestart", "path": "/1"},
      {"hookName": "createRuntime", "path": "/2", "args": ["2", "x"],
       "env": ["E=f"], "timeout": 3},
      {"hookName": "createContainer", "path": "/3"},
      {"hookName": "startContainer", "path": "/4"},
      {"hookName": "poststart", "path": "/5"},
      {"hookName": "poststop", "path": "/6"}],
    "additionalGids": [0, 7]})"));
  EXPECT_THAT(edits.env, ElementsAre("A=b=c", "D="));
  ASSERT_EQ(edits.nodes.size(), 3u);
  EXPECT_EQ(edits.nodes[0].host_path, "/dev/a");
  EXPECT_EQ(edits.nodes[0].node.type, '\0');
  EXPECT_EQ(edits.nodes[0].access, "rwm");
  oci::DeviceNode full;
  full.path = "/dev/b";
  full.type = 'b';
  full.major = 8;
  full.minor = 1;
  full.file_mode = 0660;  // without the bits of its type
  full.uid = 5;
  full.gid = 6;
  EXPECT_EQ(edits.nodes[1], (CdiNode{full, "/dev/h", "rw"}));
  EXPECT_EQ(edits.nodes[2].access, "");
  EXPECT_THAT(
      edits.mounts,
      ElementsAre(
          oci::MountSpec{"/lib/y", "bind", "/lib/x", {"ro", "rbind"}, {}, {}},
          oci::MountSpec{"/z", "bind", "/lib/x", {"ro", "bind"}, {}, {}},
          oci::MountSpec{"/t", "tmpfs", "tmpfs", {"size=64k"}, {}, {}}));
  const oci::Hooks& hooks = edits.hooks;
  EXPECT_THAT(hooks.create_runtime,
              ElementsAre(oci::Hook{"/2", {"2", "x"}, {"E=f"}, 3}));
  EXPECT_EQ(hooks.prestart.at(0).path, "/1");
  EXPECT_EQ(hooks.create_container.at(0).path, "/3");
  EXPECT_EQ(hooks.start_container.at(0).path, "/4");
  EXPECT_EQ(hooks.poststart.at(0).path, "/5");
  EXPECT_EQ(hooks.poststop.at(0).path, "/6");
  EXPECT_THAT(edits.groups, ElementsAre(0, 7));
  EXPECT_EQ(edits.intel_rdt, std::nullopt);
}

TEST(CdiFileTest, ReadsCachesAndInterfaces) {
  ASSERT_OK_AND_ASSIGN(const CdiEdits edits, Edits(R"({
    "intelRdt": {"closID": "x", "l3CacheSchema": "L3:0=f",
                 "memBwSchema": "MB:0=9", "schemata": ["L2:0=3"],
                 "enableCMT": true},
    "netDevices": [{"hostInterfaceName": "eno1", "name": "net0"}]})"));
  EXPECT_EQ(edits.intel_rdt,
            (oci::IntelRdt{"x", {"L2:0=3"}, "L3:0=f", "MB:0=9", true}));
  EXPECT_EQ(edits.net_devices,
            (std::map<std::string, std::string>{{"eno1", "net0"}}));
}

TEST(CdiFileTest, RefusesWhatIsWrongInAnEdit) {
  const struct {
    const char* edits;
    const char* part;
  } kCases[] = {
      {"{}", "containerEdits"},
      {"[]", "not an object"},
      {R"({"env": ["A=b"], "sysctl": {}})", "sysctl"},
      {R"({"env": ["=b"]})", "env"},
      {R"({"env": ["A"]})", "NAME=value"},
      {R"({"env": ["A=\u0000"]})", "env"},
      {R"({"env": "A=b"})", "env"},
      {R"({"deviceNodes": [{}]})", "deviceNodes[0]"},
      {R"({"deviceNodes": [null]})", "deviceNodes[0]"},
      {R"({"deviceNodes": [{"path": "/a"}, {"path": "b"}]})", "[1]"},
      {R"({"deviceNodes": [{"path": "/a\u0000b"}]})", "path"},
      {R"({"deviceNodes": [{"path": "/a", "type": "x"}]})", "type"},
      {R"({"deviceNodes": [{"path": "/a", "type": "cc"}]})", "type"},
      {R"({"deviceNodes": [{"path": "/a", "major": -1}]})", "negative"},
      {R"({"deviceNodes": [{"path": "/a", "minor": 1.5}]})", "minor"},
      {R"({"deviceNodes": [{"path": "/a", "uid": 4294967296}]})", "uid"},
      {R"({"deviceNodes": [{"path": "/a", "permissions": "x"}]})",
       "permissions"},
      {R"({"deviceNodes": [{"path": "/a", "mode": 1}]})", "mode"},
      {R"({"mounts": [{"containerPath": "/a"}]})", "hostPath"},
      {R"({"mounts": [{"hostPath": "a", "containerPath": "/a"}]})", "hostPath"},
      {R"({"mounts": [{"hostPath": "/a"}]})", "containerPath"},
      {R"({"mounts": [{"hostPath": "/a", "containerPath": "b"}]})",
       "containerPath"},
      {R"({"hooks": [{"hookName": "poststart"}]})", "path"},
      {R"({"hooks": [{"hookName": "createX", "path": "/a"}]})", "createX"},
      {R"({"hooks": [{"hookName": "poststop", "path": "/a", "timeout": 0}]})",
       "timeout"},
      {R"({"hooks": [{"hookName": "poststop", "path": "/a", "env": ["x"]}]})",
       "env"},
      {R"({"additionalGids": [-1]})", "additionalGids"},
      {R"({"additionalGids": [4294967295]})", "additionalGids"},
      {R"({"intelRdt": {"closid": "x"}})", "closid"},
  };
  for (const auto& one : kCases) {
    EXPECT_THAT(Edits(one.edits), IsRefused(one.part)) << one.edits;
  }
}

TEST(CdiFileTest, AMemberNeedsTheVersionThatBroughtIt) {
  const struct {
    const char* before;
    const char* since;
    const char* edits;
  } kCases[] = {
      {"0.3.0", "0.4.0",
       R"({"mounts": [{"hostPath": "t", "containerPath": "/a",
                       "type": "tmpfs"}]})"},
      {"0.4.0", "0.5.0",
       R"({"deviceNodes": [{"path": "/a", "hostPath": "/b"}]})"},
      {"0.6.0", "0.7.0", R"({"additionalGids": [1]})"},
      {"0.6.0", "0.7.0", R"({"intelRdt": {}})"},
      {"1.0.0", "1.1.0",
       R"({"netDevices": [{"hostInterfaceName": "a", "name": "b"}]})"},
  };
  for (const auto& one : kCases) {
    EXPECT_OK(Edits(one.edits, one.since)) << one.edits;
    EXPECT_THAT(Edits(one.edits, one.before), IsRefused(one.since))
        << one.edits;
  }
  EXPECT_OK(ParseCdiFile(File("0.5.0", "v/c", Device("0")), "F"));
  EXPECT_THAT(ParseCdiFile(File("0.4.0", "v/c", Device("0")), "F"),
              IsRefused("0.5.0"));
  EXPECT_OK(ParseCdiFile(File("0.6.0", "v/c.d", Device("d")), "F"));
  EXPECT_THAT(ParseCdiFile(File("0.5.0", "v/c.d", Device("d")), "F"),
              IsRefused("0.6.0"));
  const std::string notes = R"(, "annotations": {"a": "b"})";
  EXPECT_OK(ParseCdiFile(File("0.6.0", "v/c", Device("d"), notes), "F"));
  EXPECT_THAT(ParseCdiFile(File("0.5.0", "v/c", Device("d"), notes), "F"),
              IsRefused("0.6.0"));
  for (const char* version : {"", "0.2.0", "0.3", "1.2.0", "v1.0.0"}) {
    EXPECT_THAT(ParseCdiFile(File(version, "v/c", Device("d")), "F"),
                IsRefused("cdiVersion"));
  }
}

TEST(CdiFileTest, RefusesFilesThatAreNoneByTheirForm) {
  const std::string device = Device("d");
  const struct {
    std::string text;
    const char* part;
  } kCases[] = {
      {"", "F"},
      {"[]", "not an object"},
      {"{}", "cdiVersion"},
      {File("1.0.0", "v/c", ""), "devices"},
      {File("1.0.0", "v/c", device + "," + device), "twice"},
      {File("1.0.0", "v/c", device, R"(, "more": 1)"), "more"},
      {File("1.0.0", "v/c", device, R"(, "kind": "v/c")"), "twice"},
      {File("1.0.0", "v/c", R"({"name": "d"})"), "containerEdits"},
      {File("1.0.0", "v/c", "1"), "devices[0]"},
      {std::string(100'000, '['), "F"},
  };
  for (const auto& one : kCases) {
    EXPECT_THAT(ParseCdiFile(one.text, "F"), IsRefused(one.part)) << one.text;
  }
  for (const char* kind : {"", "v", "v/", "/c", "1v/c", "v-/c", "v/c/d", "v/_c",
                           "v/c=d", "v\xc3\xa4/c"}) {
    EXPECT_THAT(ParseCdiFile(File("1.0.0", kind, device), "F"),
                IsRefused("kind"))
        << kind;
  }
  for (const char* name : {"", "-a", "a-", "a/b", "a b", "a=b"}) {
    EXPECT_THAT(ParseCdiFile(File("1.0.0", "v/c", Device(name)), "F"),
                IsRefused("name"))
        << name;
  }
}

TEST(CdiNameTest, IsVendorClassAndDevice) {
  for (const char* name :
       {"v/c=d", "nvidia.com/gpu=0", "a.b-c_d/e.f=g:h.i-j"}) {
    EXPECT_OK(CheckCdiName(name));
  }
  for (const char* name : {"", "d", "v/c", "v/c=", "/c=d", "v/=d", "v=c/d",
                           "v/c=d=e", "/dev/null", "v/c=d "}) {
    EXPECT_THAT(CheckCdiName(name), StatusIs(StatusCode::kInvalidArgument,
                                             HasSubstr("cdi_devices")))
        << name;
  }
}

}  // namespace
}  // namespace berth::sandbox
