#include "sandbox/cdi/cdi_devices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/context.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth::sandbox {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// A file of kind v/c: its own variable FILE, and for each device one that has
// the device's name.
std::string File(const std::string& mark,
                 const std::vector<std::string>& devices) {
  std::string list;
  for (const std::string& name : devices) {
    if (!list.empty()) list += ",";
    list += R"({"name": ")" + name + R"(", "containerEdits": {"env": [")" +
            name + "=" + mark + R"("]}})";
  }
  return R"({"cdiVersion": "1.0.0", "kind": "v/c", "devices": [)" + list +
         R"(], "containerEdits": {"env": ["FILE=)" + mark + R"("]}})";
}

class CdiDevicesTest : public ::testing::Test {
 protected:
  CdiDevicesTest() {
    dir_.MakeDirectory("etc");
    dir_.MakeDirectory("run");
  }

  StatusOr<std::vector<CdiEdits>> Find(const std::vector<std::string>& names) {
    state::v1::ContainerConfig config;
    for (const std::string& name : names) config.add_cdi_devices(name);
    return FindCdiDevices(
        Context::Background(),
        dir_.Path("etc") + ":" + dir_.Path("run") + ":" + dir_.Path("absent"),
        config);
  }
  // All variables in their order.
  StatusOr<std::vector<std::string>> Env(
      const std::vector<std::string>& names) {
    ASSIGN_OR_RETURN(const std::vector<CdiEdits> all, Find(names));
    std::vector<std::string> env;
    for (const CdiEdits& edits : all) {
      env.insert(env.end(), edits.env.begin(), edits.env.end());
    }
    return env;
  }
  // A file whose one device, "v/c=d", has these edits.
  void WriteDevice(const std::string& edits) {
    dir_.Write("etc/d.json",
               R"({"cdiVersion": "1.0.0", "kind": "v/c", "devices": [
                   {"name": "d", "containerEdits": )" +
                   edits + "}]}");
  }

  const TempDir dir_;
};

MATCHER_P2(IsUnresolvable, names, part, "") {
  return ::testing::ExplainMatchResult(
      StatusIs(StatusCode::kInvalidArgument,
               AllOf(HasSubstr(std::string("unresolvable CDI devices ") +
                               names + " in"),
                     HasSubstr(part))),
      arg, result_listener);
}

TEST_F(CdiDevicesTest, AFilesEditsComeOnceBeforeItsFirstDevice) {
  dir_.Write("etc/a.json", File("a", {"x", "y"}));
  dir_.Write("etc/b.json", File("b", {"z"}));
  EXPECT_THAT(
      Env({"v/c=y", "v/c=z", "v/c=x", "v/c=y"}),
      IsOkAndHolds(ElementsAre("FILE=a", "y=a", "FILE=b", "z=b", "x=a")));
  EXPECT_THAT(Find({}), IsOkAndHolds(IsEmpty()));
}

TEST_F(CdiDevicesTest, AnUnknownDeviceIsNamedWithTheFolders) {
  dir_.Write("etc/a.json", File("a", {"x"}));
  const auto found = Find({"v/c=x", "v/c=y", "w/c=x"});
  EXPECT_THAT(found, IsUnresolvable("v/c=y, w/c=x", dir_.Path("etc")));
  EXPECT_THAT(found, IsUnresolvable("v/c=y, w/c=x", dir_.Path("run")));
}

TEST_F(CdiDevicesTest, TheLaterFolderWinsDeviceByDevice) {
  dir_.Write("etc/a.json", File("etc", {"x", "y"}));
  dir_.Write("run/a.json", File("run", {"x"}));
  EXPECT_THAT(
      Env({"v/c=x", "v/c=y"}),
      IsOkAndHolds(ElementsAre("FILE=run", "x=run", "FILE=etc", "y=etc")));
}

TEST_F(CdiDevicesTest, AConflictIsAnErrorForItsDeviceAlone) {
  dir_.Write("etc/a.json", File("a", {"x", "y"}));
  dir_.Write("etc/b.json", File("b", {"x"}));
  EXPECT_OK(Find({"v/c=y"}));
  EXPECT_THAT(Find({"v/c=y", "v/c=x"}),
              IsUnresolvable("v/c=x", dir_.Path("etc/b.json")));
  // A later folder settles it.
  dir_.Write("run/c.json", File("c", {"x"}));
  EXPECT_THAT(Env({"v/c=x"}), IsOkAndHolds(ElementsAre("FILE=c", "x=c")));
}

TEST_F(CdiDevicesTest, BrokenFilesAreInNobodysWay) {
  dir_.Write("etc/0.json", "{");
  dir_.Write("etc/1.json", std::string(2 << 20, ' ') + File("big", {"big"}));
  ASSERT_EQ(mkfifo(dir_.Path("etc/2.json").c_str(), 0600), 0);
  dir_.MakeDirectory("etc/3.json");
  ASSERT_EQ(symlink("nowhere", dir_.Path("etc/4.json").c_str()), 0);
  ASSERT_EQ(symlink("/dev/zero", dir_.Path("etc/5.json").c_str()), 0);
  dir_.Write("etc/6.txt", File("other", {"other"}));
  dir_.Write("etc/7.json", File("a", {"x"}));
  EXPECT_OK(Find({"v/c=x"}));
  const auto found = Find({"v/c=big"});
  for (const char* name : {"0", "1", "2", "3", "5"}) {
    EXPECT_THAT(
        found, IsUnresolvable("v/c=big", std::string("etc/") + name + ".json"));
  }
  EXPECT_THAT(Find({"v/c=other"}), Not(IsOk()));
}

TEST_F(CdiDevicesTest, FilesOfYamlDescribeDevicesToo) {
  dir_.Write("etc/a.yaml",
             "cdiVersion: 1.0.0\nkind: v/c\ndevices:\n"
             "- name: y\n  containerEdits:\n    env: [FROM=yaml]\n");
  dir_.Write("etc/b.yaml", "cdiVersion: [1.0.0\n");
  dir_.Write("etc/c.json", File("b", {"x"}));
  EXPECT_OK(Find({"v/c=x"}));
  EXPECT_OK(Find({"v/c=y"}));
  EXPECT_THAT(Find({"v/c=z"}), IsUnresolvable("v/c=z", "etc/b.yaml: line"));
}

TEST_F(CdiDevicesTest, TooMuchIsAnErrorForWhoeverAsks) {
  const std::string full =
      File("a", {"x"}) + std::string((1 << 20) - 4096, ' ');
  for (int i = 0; i < 20; ++i) {
    dir_.Write("run/" + std::to_string(i) + ".json", full);
  }
  EXPECT_THAT(Find({"v/c=x"}), StatusIs(StatusCode::kResourceExhausted,
                                        HasSubstr(dir_.Path("run"))));
  EXPECT_OK(Find({}));
}

TEST_F(CdiDevicesTest, NumbersComeFromTheHostsNode) {
  ASSERT_EQ(symlink("/dev/null", dir_.Path("link").c_str()), 0);
  WriteDevice(R"({"deviceNodes": [
      {"path": "/dev/null"},
      {"path": "/dev/a", "hostPath": ")" +
              dir_.Path("link") + R"("},
      {"path": "/dev/absent", "type": "b", "major": 7, "minor": 9},
      {"path": "/dev/absent", "type": "p"},
      {"path": "/dev/zero", "type": "u"}]})");
  ASSERT_OK_AND_ASSIGN(const auto all, Find({"v/c=d"}));
  const auto number = [&](int i) {
    const oci::DeviceNode& node = all.at(1).nodes.at(i).node;
    return std::string(1, node.type) + std::to_string(node.major) + ":" +
           std::to_string(node.minor);
  };
  EXPECT_EQ(number(0), "c1:3");
  EXPECT_EQ(number(1), "c1:3");
  EXPECT_EQ(number(2), "b7:9");
  EXPECT_EQ(number(3), "p0:0");
  EXPECT_EQ(number(4), "u1:5");
}

TEST_F(CdiDevicesTest, WhatTheHostHasNotGotIsNamed) {
  WriteDevice(R"({"deviceNodes": [{"path": "/dev/absent"}]})");
  EXPECT_THAT(Find({"v/c=d"}),
              StatusIs(StatusCode::kNotFound, HasSubstr("/dev/absent")));
  WriteDevice(R"({"deviceNodes": [{"path": "/dev/null", "type": "b"}]})");
  EXPECT_THAT(Find({"v/c=d"}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("type")));
  WriteDevice(R"({"deviceNodes": [{"path": "/etc/passwd"}]})");
  EXPECT_THAT(Find({"v/c=d"}), StatusIs(StatusCode::kInvalidArgument,
                                        HasSubstr("not a device")));
  WriteDevice(
      R"({"mounts": [{"hostPath": "/absent", "containerPath": "/a"}]})");
  EXPECT_THAT(Find({"v/c=d"}),
              StatusIs(StatusCode::kNotFound, HasSubstr("/absent")));
}

}  // namespace
}  // namespace berth::sandbox
