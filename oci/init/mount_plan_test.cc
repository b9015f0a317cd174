#include "oci/init/mount_plan.h"

#include <linux/mount.h>
#include <sys/mount.h>

#include "base/testing/status_matchers.h"

namespace berth::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

MountSpec Request(const std::string& destination, const std::string& type,
                  const std::string& source,
                  const std::vector<std::string>& options) {
  MountSpec mount;
  mount.destination = destination;
  mount.type = type;
  mount.source = source;
  mount.options = options;
  return mount;
}

CgroupHost HostV1() {
  CgroupHost host;
  host.version = CgroupVersion::kV1;
  host.hierarchies = {
      {"/sys/fs/cgroup/cpu,cpuacct", {"cpu", "cpuacct"}, false, "/"},
      {"/sys/fs/cgroup/systemd", {"name=systemd"}, false, "/"}};
  return host;
}

StatusOr<MountPlan> Plan(const Spec& spec) {
  static const CgroupHost host = HostV1();
  return PlanMounts(spec, {"/bundle", &host, "/box"});
}

StatusOr<MountPlan> PlanOf(const MountSpec& mount) {
  Spec spec;
  spec.mounts = {mount};
  return Plan(spec);
}

TEST(PlanMountsTest, BindWithFlagsKeepsThemForTheMount) {
  ASSERT_OK_AND_ASSIGN(
      const MountPlan plan,
      PlanOf(Request("data/../etc//x", "none", "src", {"rbind", "ro"})));
  ASSERT_THAT(plan.steps, SizeIs(1));
  EXPECT_EQ(plan.steps[0].kind, MountStep::Kind::kBind);
  EXPECT_EQ(plan.steps[0].target, "/etc/x");
  EXPECT_EQ(plan.steps[0].source, "/bundle/src");
  EXPECT_TRUE(plan.steps[0].options.recursive);
  EXPECT_EQ(plan.steps[0].options.top.set, uint64_t{MOUNT_ATTR_RDONLY});
}

TEST(PlanMountsTest, ProcAndSysfsAcceptNoLinks) {
  Spec spec;
  spec.mounts = {Request("/proc", "proc", "proc", {}),
                 Request("/sys", "sysfs", "sysfs", {"ro"}),
                 Request("/t", "tmpfs", "tmpfs", {})};
  ASSERT_OK_AND_ASSIGN(const MountPlan plan, Plan(spec));
  EXPECT_TRUE(plan.steps[0].no_links);
  EXPECT_TRUE(plan.steps[1].no_links);
  EXPECT_FALSE(plan.steps[2].no_links);
}

TEST(PlanMountsTest, FallsBackOnWhatItWouldShow) {
  Spec spec;
  spec.mounts = {Request("/sys", "sysfs", "sysfs", {}),
                 Request("/proc", "proc", "proc", {}),
                 Request("/dev/mqueue", "mqueue", "mqueue", {})};
  ASSERT_OK_AND_ASSIGN(const MountPlan hosts, Plan(spec));
  EXPECT_EQ(hosts.steps[0].fallback, "/sys");
  EXPECT_EQ(hosts.steps[1].fallback, "/proc");
  EXPECT_EQ(hosts.steps[2].fallback, "/dev/mqueue");
  spec.linux.namespaces = {{NamespaceType::kPid, ""},
                           {NamespaceType::kIpc, ""}};
  ASSERT_OK_AND_ASSIGN(const MountPlan own, Plan(spec));
  EXPECT_EQ(own.steps[0].fallback, "/sys");
  EXPECT_EQ(own.steps[1].fallback, "");
  EXPECT_EQ(own.steps[2].fallback, "");
}

TEST(PlanMountsTest, ReadOnlyTmpfsIsSealedLast) {
  ASSERT_OK_AND_ASSIGN(const MountPlan plan,
                       PlanOf(Request("/t", "tmpfs", "tmpfs", {"ro"})));
  EXPECT_TRUE(plan.steps[0].seal_last);
  EXPECT_EQ(plan.steps[0].options.top.set, 0u);
}

TEST(PlanMountsTest, CgroupV1IsOneDirectoryForEachHierarchy) {
  ASSERT_OK_AND_ASSIGN(
      const MountPlan plan,
      PlanOf(Request("/sys/fs/cgroup", "cgroup", "cgroup", {"ro"})));
  ASSERT_THAT(plan.steps, SizeIs(5));
  EXPECT_EQ(plan.steps[0].type, "tmpfs");
  EXPECT_TRUE(plan.steps[0].seal_last);
  EXPECT_EQ(plan.steps[1].source, "/sys/fs/cgroup/cpu,cpuacct/box");
  EXPECT_EQ(plan.steps[1].target, "/sys/fs/cgroup/cpu,cpuacct");
  EXPECT_TRUE(plan.steps[1].options.top.set & MOUNT_ATTR_RDONLY);
  EXPECT_TRUE(plan.steps[1].optional);
  EXPECT_EQ(plan.steps[2].source, "/sys/fs/cgroup/systemd/box");
  EXPECT_EQ(plan.steps[3].kind, MountStep::Kind::kSymlink);
  EXPECT_EQ(plan.steps[3].target, "/sys/fs/cgroup/cpu");
  EXPECT_EQ(plan.steps[3].source, "cpu,cpuacct");
}

CgroupHost HostV2() {
  CgroupHost host;
  host.version = CgroupVersion::kV2;
  host.hierarchies = {{"/sys/fs/cgroup/net_cls", {"net_cls"}, false, "/"},
                      {"/sys/fs/cgroup", {"memory"}, true, "/maker"}};
  return host;
}

StatusOr<MountPlan> PlanOnV2(std::vector<NamespaceSpec> namespaces,
                             const std::string& cgroup_path = "/box") {
  static const CgroupHost host = HostV2();
  Spec spec;
  spec.linux.namespaces = std::move(namespaces);
  spec.mounts = {Request("/sys/fs/cgroup", "cgroup", "cgroup", {"ro"})};
  return PlanMounts(spec, {"/bundle", &host, cgroup_path});
}

TEST(PlanMountsTest, CgroupV2IsWhatItsNamespaceShows) {
  ASSERT_OK_AND_ASSIGN(const MountPlan own,
                       PlanOnV2({{NamespaceType::kCgroup, ""}}));
  EXPECT_EQ(own.steps[0].type, "cgroup2");
  EXPECT_EQ(own.steps[0].fallback, "/sys/fs/cgroup/box");
  ASSERT_OK_AND_ASSIGN(const MountPlan hosts, PlanOnV2({}));
  EXPECT_EQ(hosts.steps[0].kind, MountStep::Kind::kBind);
  EXPECT_EQ(hosts.steps[0].source, "/sys/fs/cgroup");
  EXPECT_TRUE(hosts.steps[0].options.top.set & MOUNT_ATTR_RDONLY);
  ASSERT_OK_AND_ASSIGN(const MountPlan user,
                       PlanOnV2({{NamespaceType::kUser, ""}}));
  EXPECT_EQ(user.steps[0].source, "/sys/fs/cgroup/box");
}

TEST(PlanMountsTest, WithoutAnOwnCgroupV2ShowsItsMakersAlone) {
  ASSERT_OK_AND_ASSIGN(const MountPlan user,
                       PlanOnV2({{NamespaceType::kUser, ""}}, ""));
  EXPECT_EQ(user.steps[0].source, "/sys/fs/cgroup/maker");
  ASSERT_OK_AND_ASSIGN(const MountPlan own,
                       PlanOnV2({{NamespaceType::kCgroup, ""}}, ""));
  EXPECT_EQ(own.steps[0].fallback, "/sys/fs/cgroup/maker");
}

TEST(PlanMountsTest, RefusesByName) {
  const struct {
    MountSpec mount;
    StatusCode code;
    const char* word;
  } cases[] = {
      {Request("/", "tmpfs", "t", {}), StatusCode::kInvalidArgument, "root"},
      {Request("/proc", "tmpfs", "t", {}), StatusCode::kInvalidArgument,
       "procfs"},
      {Request("/proc/self/attr", "bind", "/x", {}),
       StatusCode::kInvalidArgument, "/proc"},
      {Request("/tmp/../proc/sys", "bind", "/x", {}),
       StatusCode::kInvalidArgument, "/proc"},
      {Request("/x", "bind", "/y", {"bind", "size=1"}),
       StatusCode::kInvalidArgument, "size=1"},
      {Request("/x", "bind", "", {"bind"}), StatusCode::kInvalidArgument,
       "source"},
      {Request("/x", "", "/y", {}), StatusCode::kInvalidArgument, "type"},
      {Request("/x", "tmpfs", "t", {"copy-symlink"}),
       StatusCode::kInvalidArgument, "copy-symlink"},
      {Request("/x", "bind", "/y", {"bind", "idmap=uids=0-1"}),
       StatusCode::kInvalidArgument, "idmap=uids=0-1"},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(PlanOf(c.mount), StatusIs(c.code, HasSubstr(c.word)))
        << c.mount.destination;
  }
  EXPECT_OK(PlanOf(Request("/proc/meminfo", "bind", "/x", {"bind"})));
}

TEST(PlanMountsTest, DevIsFilledUnlessBound) {
  EXPECT_THAT(Plan(Spec())->devices, SizeIs(6));
  ASSERT_OK_AND_ASSIGN(const MountPlan bound,
                       PlanOf(Request("/dev", "bind", "/dev", {"rbind"})));
  EXPECT_THAT(bound.devices, IsEmpty());
  EXPECT_THAT(bound.links, IsEmpty());
}

TEST(PlanMountsTest, ARequestedDeviceReplacesTheDefault) {
  Spec spec;
  DeviceNode null;
  null.path = "/dev//null";
  null.major = 1;
  null.minor = 3;
  null.file_mode = 0600;
  spec.linux.devices = {null};
  ASSERT_OK_AND_ASSIGN(const MountPlan plan, Plan(spec));
  ASSERT_THAT(plan.devices, SizeIs(6));
  EXPECT_EQ(plan.devices.back().path, "/dev/null");
  EXPECT_EQ(plan.devices.back().file_mode, 0600u);
}

TEST(PlanMountsTest, Propagation) {
  Spec spec;
  EXPECT_EQ(Plan(spec)->initial_propagation,
            static_cast<unsigned long>(MS_SLAVE | MS_REC));
  spec.linux.rootfs_propagation = "rshared";
  EXPECT_EQ(Plan(spec)->final_propagation,
            static_cast<unsigned long>(MS_SHARED | MS_REC));
  spec.linux.rootfs_propagation = "private";
  EXPECT_EQ(Plan(spec)->initial_propagation,
            static_cast<unsigned long>(MS_PRIVATE | MS_REC));
  spec.linux.rootfs_propagation = "sideways";
  EXPECT_THAT(Plan(spec), StatusIs(StatusCode::kInvalidArgument));
}

TEST(CleanPathTest, StopsAtTheRoot) {
  EXPECT_EQ(CleanPath("../../a/./b//../c/"), "/a/c");
  EXPECT_EQ(CleanPath(""), "/");
}

TEST(PlanMountsTest, APathIsMaskedOnceAndTheLastDeviceOfAPathCounts) {
  Spec spec;
  for (int i = 0; i < 20'000; ++i) {
    spec.linux.masked_paths.push_back(i % 2 == 0 ? "/proc/keys"
                                                 : "/proc/./keys");
    spec.linux.readonly_paths.push_back("/proc/sys");
    DeviceNode device;
    device.path = "/dev/d" + std::to_string(i % 10'000);
    device.minor = i;
    spec.linux.devices.push_back(device);
  }
  ASSERT_OK_AND_ASSIGN(const MountPlan plan, Plan(spec));
  EXPECT_EQ(plan.masked_paths, std::vector<std::string>{"/proc/keys"});
  EXPECT_EQ(plan.readonly_paths, std::vector<std::string>{"/proc/sys"});
  EXPECT_EQ(plan.devices.back().path, "/dev/d9999");
  EXPECT_EQ(plan.devices.back().minor, 19'999);
}

}  // namespace
}  // namespace berth::oci
