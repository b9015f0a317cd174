// Specifications as values: configurations in, OCI specifications out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "base/context.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "oci/spec/validate.h"
#include "sandbox/spec/check_config.h"
#include "sandbox/spec/security.h"
#include "sandbox/spec/spec_builder.h"
#include "sandbox/spec/user.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kPasswd[] =
    "root:x:0:0:root:/root:/bin/sh\n"
    "web:x:1000:1234:web:/home/web:/bin/sh\n"
    "99999999999:x:0:0::/:/bin/sh\n";
constexpr char kGroup[] = "root:x:0:\nextra:x:50000:web\nweb:x:1234:\n";

class SpecTest : public ::testing::Test {
 protected:
  SpecTest() {
    sandbox_.set_id("pod");
    sandbox_.set_hostname("host");
    sandbox_.mutable_directory()->set_root_path("/root-of-pod");
    sandbox_.mutable_directory()->set_shm_path("/shm-of-pod");
    sandbox_.mutable_namespaces()->set_network("/pins/netns");
    sandbox_.mutable_namespaces()->set_ipc("/pins/ipcns");
    sandbox_.mutable_namespaces()->set_uts("/pins/utsns");
    sandbox_.mutable_namespaces()->set_pid("/proc/9/ns/pid");
    container_.set_id("c");
    container_.add_argv("/bin/app");
    container_.set_cgroup("/parent/c");
    host_.capabilities = AllCapabilities(40);
  }

  ContainerSecurity& security() {
    return *container_.mutable_config()->mutable_security();
  }

  StatusOr<oci::Spec> Build() {
    const SpecInputs in{sandbox_, container_, image_, host_,
                        "/root",  {},         {},     {}};
    ASSIGN_OR_RETURN(oci::Spec spec, PlanSpec(in));
    RETURN_IF_ERROR(BindSpec(in, spec));
    return spec;
  }

  SandboxRecord sandbox_;
  ContainerRecord container_;
  ImageConfig image_;
  HostFacts host_;
};

const oci::MountSpec* FindMount(const oci::Spec& spec,
                                const std::string& destination) {
  for (const oci::MountSpec& mount : spec.mounts) {
    if (mount.destination == destination) return &mount;
  }
  return nullptr;
}

TEST_F(SpecTest, JoinsTheSandboxAndIsValid) {
  ASSERT_OK_AND_ASSIGN(const oci::Spec spec, Build());
  EXPECT_OK(oci::Validate(spec));
  const auto path = [&](oci::NamespaceType type) {
    const oci::NamespaceSpec* found = spec.linux.Find(type);
    return found == nullptr ? "absent" : found->path;
  };
  EXPECT_EQ(path(oci::NamespaceType::kNetwork), "/pins/netns");
  EXPECT_EQ(path(oci::NamespaceType::kIpc), "/pins/ipcns");
  EXPECT_EQ(path(oci::NamespaceType::kUts), "/pins/utsns");
  EXPECT_EQ(path(oci::NamespaceType::kPid), "/proc/9/ns/pid");
  EXPECT_EQ(path(oci::NamespaceType::kMount), "");
  EXPECT_EQ(path(oci::NamespaceType::kCgroup), "absent");
  ASSERT_NE(FindMount(spec, "/dev/shm"), nullptr);
  EXPECT_EQ(FindMount(spec, "/dev/shm")->source, "/shm-of-pod");
  EXPECT_EQ(FindMount(spec, "/etc/hosts")->source, "/root-of-pod/hosts");
  EXPECT_EQ(spec.linux.cgroups_path, "/parent/c");
}

TEST_F(SpecTest, HostNamespacesAreNotMentioned) {
  sandbox_.clear_namespaces();
  security().mutable_namespaces()->set_pid(NAMESPACE_MODE_NODE);
  ASSERT_OK_AND_ASSIGN(const oci::Spec spec, Build());
  EXPECT_EQ(spec.linux.namespaces.size(), 1u);
}

TEST_F(SpecTest, EqualInputsGiveEqualSpecifications) {
  EXPECT_EQ(*Build(), *Build());
}

TEST_F(SpecTest, APlanKnowsNothingThatOnlyAStartKnows) {
  SpecInputs in{sandbox_, container_, image_, host_, "/root", {}, {}, {}};
  ASSERT_OK_AND_ASSIGN(const oci::Spec plan, PlanSpec(in));
  sandbox_.clear_namespaces();
  sandbox_.clear_directory();
  container_.set_cgroup("/elsewhere");
  in.devices.nodes.emplace_back();
  in.mounts.mounts.emplace_back();
  EXPECT_THAT(PlanSpec(in), IsOkAndHolds(plan));
  EXPECT_THAT(plan.linux.namespaces, IsEmpty());
  EXPECT_THAT(plan.mounts, IsEmpty());
}

// Or what an earlier step adds would be lost.
TEST(PlanStepsTest, ThoseOfCreateComeFirst) {
  const auto of_create = [](const PlanStep& step) {
    return step.time == StepTime::kCreate;
  };
  EXPECT_TRUE(
      std::is_partitioned(PlanSteps().begin(), PlanSteps().end(), of_create));
}

TEST_F(SpecTest, LaterEnvironmentWins) {
  image_.add_env("A=image");
  image_.add_env("B=image");
  image_.add_env("PATH=/image");
  auto& own = *container_.mutable_config()->add_env();
  own.set_name("A");
  own.set_value("own\xff");
  auto& gone = *container_.mutable_config()->add_env();
  gone.set_name("B");
  gone.set_unset(true);
  ASSERT_OK_AND_ASSIGN(const oci::Spec spec, Build());
  EXPECT_THAT(spec.process->env, ElementsAre("PATH=/image", "HOSTNAME=host",
                                             "A=own\xff", "HOME=/root"));
}

TEST_F(SpecTest, AUmaskIsSetOnlyIfAskedFor) {
  EXPECT_FALSE(Build()->process->user.umask.has_value());
  for (const uint32_t umask : {0u, 077u}) {
    security().set_umask(umask);
    EXPECT_EQ(Build()->process->user.umask, mode_t{umask});
  }
}

TEST_F(SpecTest, ClampsTheOomScoreAndChecksItsRange) {
  host_.min_oom_score_adj = 100;
  container_.mutable_config()->mutable_resources()->set_oom_score_adj(-998);
  EXPECT_EQ(Build()->process->oom_score_adj, 100);
  container_.mutable_config()->mutable_resources()->set_oom_score_adj(2000);
  EXPECT_THAT(Build(), StatusIs(StatusCode::kInvalidArgument));
}

// The profile of a container whose request has `type` (and, of LOCALHOST, the
// name "mine"), or the code of the error.
TEST_F(SpecTest, AppArmorProfileIsOursUnlessAnotherIsNamed) {
  using state::v1::SecurityProfile;
  const auto profile = [&](SecurityProfile::Type type) {
    security().mutable_apparmor()->set_type(type);
    security().mutable_apparmor()->set_localhost_ref(
        type == SecurityProfile::LOCALHOST ? "localhost/mine" : "");
    const StatusOr<oci::Spec> spec = Build();
    return spec.ok()
               ? spec->process->apparmor_profile
               : "error " +
                     std::to_string(static_cast<int>(spec.status().code()));
  };
  const std::string invalid =
      "error " + std::to_string(static_cast<int>(StatusCode::kInvalidArgument));
  EXPECT_EQ(profile(SecurityProfile::UNSET), "");
  EXPECT_EQ(profile(SecurityProfile::UNCONFINED), "");
  EXPECT_EQ(profile(SecurityProfile::RUNTIME_DEFAULT), invalid);
  EXPECT_EQ(profile(SecurityProfile::LOCALHOST), invalid);
  // A host that has it, but no parser to load ours.
  host_.apparmor = true;
  EXPECT_EQ(profile(SecurityProfile::UNSET), "");
  EXPECT_EQ(profile(SecurityProfile::RUNTIME_DEFAULT),
            "error " + std::to_string(
                           static_cast<int>(StatusCode::kFailedPrecondition)));
  EXPECT_EQ(profile(SecurityProfile::LOCALHOST), "mine");
  host_.apparmor_default = OkStatus();
  EXPECT_EQ(profile(SecurityProfile::UNSET), "berth-default");
  EXPECT_EQ(profile(SecurityProfile::RUNTIME_DEFAULT), "berth-default");
  EXPECT_EQ(profile(SecurityProfile::UNCONFINED), "");
  EXPECT_EQ(profile(SecurityProfile::LOCALHOST), "mine");
  security().set_privileged(true);
  EXPECT_EQ(profile(SecurityProfile::UNSET), "");
  EXPECT_EQ(profile(SecurityProfile::RUNTIME_DEFAULT), "");
  EXPECT_EQ(profile(SecurityProfile::LOCALHOST), "mine");
}

TEST_F(SpecTest, LabelsAreThePodsUnlessItIsPrivileged) {
  EXPECT_EQ(Build()->process->selinux_label, "") << "no SELinux";
  host_.selinux = {"u:r:c_t:s0", "u:object_r:f_t:s0"};
  sandbox_.set_selinux_level("s0:c3,c4");
  EXPECT_EQ(Build()->process->selinux_label, "u:r:c_t:s0:c3,c4");
  EXPECT_EQ(Build()->linux.mount_label, "u:object_r:f_t:s0:c3,c4");
  security().set_privileged(true);
  EXPECT_EQ(Build()->process->selinux_label, "");
  EXPECT_EQ(Build()->linux.mount_label, "u:object_r:f_t:s0:c3,c4");
}

TEST_F(SpecTest, AUserNamespaceComesWithItsMappings) {
  sandbox_.mutable_namespaces()->set_user("/run/x/userns");
  auto& options = *sandbox_.mutable_config()->mutable_namespaces();
  for (auto* maps :
       {options.mutable_uid_mappings(), options.mutable_gid_mappings()}) {
    auto& line = *maps->Add();
    line.set_host_id(65536);
    line.set_size(65536);
  }
  ASSERT_OK_AND_ASSIGN(const oci::Spec spec, Build());
  EXPECT_EQ(spec.linux.Find(oci::NamespaceType::kUser)->path, "/run/x/userns");
  EXPECT_THAT(spec.linux.uid_mappings,
              ElementsAre(oci::IdMapping{0, 65536, 65536}));
  EXPECT_OK(oci::Validate(spec));
}

TEST_F(SpecTest, PrivilegedLiftsWhatHides) {
  security().set_default_paths(true);
  EXPECT_THAT(Build()->linux.masked_paths, Contains("/proc/kcore"));
  EXPECT_THAT(FindMount(*Build(), "/sys")->options, Contains("ro"));
  security().set_privileged(true);
  EXPECT_THAT(Build()->linux.masked_paths, IsEmpty());
  EXPECT_THAT(FindMount(*Build(), "/sys")->options, Contains("rw"));
  EXPECT_EQ(Build()->process->capabilities->bounding.size(),
            host_.capabilities.size());
}

TEST(MergeMountsTest, RequestedOnesWinAndParentsComeFirst) {
  oci::MountSpec proc, sys, cgroup, deep, own;
  proc.destination = "/proc";
  sys.destination = "/sys";
  cgroup.destination = "/sys/fs/cgroup";
  deep.destination = "/a/b/c";
  own.destination = "/sys";
  own.source = "/mine";
  const auto merged = MergeMounts({proc, sys, cgroup}, {deep, own});
  ASSERT_EQ(merged.size(), 3u);
  EXPECT_EQ(merged[0].destination, "/proc");
  EXPECT_EQ(merged[1].source, "/mine");
  EXPECT_EQ(merged[2].destination, "/a/b/c");
}

TEST(HostMountsTest, AreReadIfAMountDependsOnThem) {
  const TempDir empty;
  ContainerConfig config;
  config.add_mounts()->set_container_path("/in");
  EXPECT_OK(HostMounts::Read(empty.path(), config).status());
  config.add_mounts()->set_propagation(MOUNT_PROPAGATION_HOST_TO_CONTAINER);
  EXPECT_THAT(HostMounts::Read(empty.path(), config).status(),
              StatusIs(StatusCode::kNotFound, HasSubstr("mountinfo")));
}

TEST(RequestedMountsTest, FollowsLinksMakesDirectoriesChecksPropagation) {
  TempDir dir;
  dir.MakeDirectory("real");
  ASSERT_EQ(symlink("real", dir.Path("link").c_str()), 0);
  const HostMounts host("1 0 8:1 / / rw - ext4 /dev/sda rw\n");
  ContainerRecord container;
  auto& mount = *container.mutable_config()->add_mounts();
  mount.set_container_path("/in");
  mount.set_host_path(dir.Path("link"));
  ASSERT_OK_AND_ASSIGN(
      MountPlan plan,
      RequestedMounts(Context::Background(), {}, container, {}, host));
  EXPECT_EQ(plan.mounts[0].source, dir.Path("real"));
  EXPECT_THAT(plan.mounts[0].options, ElementsAre("rbind", "rprivate", "rw"));
  mount.set_host_path(dir.Path("new/below"));
  ASSERT_OK(RequestedMounts(Context::Background(), {}, container, {}, host));
  EXPECT_TRUE(dir.Exists("new/below"));
  mount.set_propagation(MOUNT_PROPAGATION_BIDIRECTIONAL);
  EXPECT_THAT(RequestedMounts(Context::Background(), {}, container, {}, host),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("shared")));
  const HostMounts shared("1 0 8:1 / / rw shared:1 - ext4 /dev/sda rw\n");
  EXPECT_EQ(RequestedMounts(Context::Background(), {}, container, {}, shared)
                ->rootfs_propagation,
            "rshared");
  mount.set_recursive_readonly(true);
  EXPECT_THAT(RequestedMounts(Context::Background(), {}, container, {}, shared),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(ImageMountTest, StaysInsideTheImage) {
  TempDir dir;
  dir.MakeDirectory("image/sub");
  ASSERT_EQ(symlink("/etc", dir.Path("image/out").c_str()), 0);
  const HostMounts host("");
  ContainerRecord container;
  auto& mount = *container.mutable_config()->add_mounts();
  mount.set_type(MOUNT_TYPE_IMAGE);
  mount.set_container_path("/in");
  mount.set_image_sub_path("sub");
  const std::vector<std::string> roots = {dir.Path("image")};
  EXPECT_THAT(
      RequestedMounts(Context::Background(), {}, container, roots, host),
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("readonly")));
  mount.set_readonly(true);
  EXPECT_EQ(RequestedMounts(Context::Background(), {}, container, roots, host)
                ->mounts[0]
                .source,
            dir.Path("image/sub"));
  for (const char* path : {"out", "absent", "../../etc"}) {
    mount.set_image_sub_path(path);
    EXPECT_FALSE(
        RequestedMounts(Context::Background(), {}, container, roots, host).ok())
        << path;
  }
}

TEST(UserTest, NumbersNamesAndGroups) {
  ContainerSecurity security;
  const auto resolve = [&](const std::string& image) {
    return ResolveUser(security, image, kPasswd, kGroup);
  };
  EXPECT_EQ(resolve("web")->ids.uid(), 1000u);
  EXPECT_EQ(resolve("web")->ids.gid(), 1234u);
  EXPECT_EQ(resolve("web")->home, "/home/web");
  EXPECT_THAT(resolve("web")->ids.supplemental_groups(),
              ElementsAre(1234, 50000));
  EXPECT_THAT(resolve("7:extra")->ids.supplemental_groups(),
              ElementsAre(50000));
  EXPECT_EQ(resolve("7")->ids.gid(), 0u);
  EXPECT_EQ(resolve("")->ids.uid(), 0u);
  security.set_run_as_user(1000);
  security.add_supplemental_groups(77);
  security.set_groups_policy(GROUPS_POLICY_STRICT);
  EXPECT_THAT(resolve("root")->ids.supplemental_groups(),
              ElementsAre(1234, 77));
}

TEST(UserTest, RefusesWhatCouldBecomeRoot) {
  ContainerSecurity security;
  for (const char* user : {"99999999999", "4294967296", "4294967295", "nobody",
                           "-1", "0x1", " 1", "web:nogroup"}) {
    EXPECT_THAT(ResolveUser(security, user, kPasswd, kGroup),
                StatusIs(StatusCode::kInvalidArgument))
        << user;
  }
  security.set_run_as_group(5);
  EXPECT_THAT(ResolveUser(security, "web", kPasswd, kGroup),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST_F(SpecTest, MountsItsCgroupsAsAsked) {
  const auto option = [&]() -> std::string {
    const StatusOr<oci::Spec> spec = Build();
    if (!spec.ok()) return Message(spec.status());
    return FindMount(*spec, "/sys/fs/cgroup")->options.back();
  };
  EXPECT_EQ(option(), "ro");
  security().set_cgroup_mount(CGROUP_MOUNT_READ_ONLY);
  EXPECT_EQ(option(), "ro");
  security().set_cgroup_mount(CGROUP_MOUNT_READ_WRITE);
  EXPECT_THAT(option(), HasSubstr("nsdelegate"));
  host_.cgroup_v2 = true;
  EXPECT_THAT(option(), HasSubstr("nsdelegate"));
  host_.delegates_cgroups = true;
  EXPECT_EQ(option(), "rw");
  security().clear_cgroup_mount();
  security().set_privileged(true);
  EXPECT_EQ(option(), "rw");
}

TEST(CheckConfigTest, KnowsWhichCgroupMountsCannotBe) {
  SandboxConfig sandbox;
  sandbox.mutable_security()->set_privileged(true);
  ContainerConfig config;
  config.set_name("c");
  config.set_image_id("sha256:1");
  ContainerSecurity& security = *config.mutable_security();
  security.mutable_namespaces()->set_cgroup(NAMESPACE_MODE_NODE);
  security.set_cgroup_mount(CGROUP_MOUNT_READ_ONLY);
  EXPECT_OK(CheckContainerConfig(config, sandbox));
  security.set_cgroup_mount(CGROUP_MOUNT_READ_WRITE);
  EXPECT_THAT(CheckContainerConfig(config, sandbox),
              StatusIs(StatusCode::kInvalidArgument));
  security.set_privileged(true);
  EXPECT_OK(CheckContainerConfig(config, sandbox));
  security.set_cgroup_mount(CGROUP_MOUNT_READ_ONLY);
  EXPECT_THAT(CheckContainerConfig(config, sandbox),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(DeviceTest, RulesAndNodes) {
  EXPECT_OK(ParseDeviceRule("c 10:* rw"));
  for (const char* text :
       {"", "c", "x 1:3 r", "c 1 r", "c 1:3 q", "c 1:-3 r"}) {
    EXPECT_FALSE(ParseDeviceRule(text).ok()) << text;
  }
  ContainerConfig config;
  auto& device = *config.add_devices();
  device.set_host_path("/dev/null");
  device.set_container_path("/dev/nothing");
  device.set_permissions("r");
  ASSERT_OK_AND_ASSIGN(const DeviceSet set,
                       RequestedDevices(Context::Background(), config));
  ASSERT_EQ(set.nodes.size(), 1u);
  EXPECT_EQ(set.nodes[0].path, "/dev/nothing");
  EXPECT_EQ(set.elsewhere.at("/dev/nothing"), "/dev/null");
  EXPECT_EQ(set.rules[0].access, "r");
}

TEST(CommandLineTest, RequestOverImage) {
  ContainerConfig config;
  ImageConfig image;
  EXPECT_FALSE(CommandLine(config, image).ok());
  image.add_entrypoint("entry");
  image.add_cmd("cmd");
  EXPECT_THAT(*CommandLine(config, image), ElementsAre("entry", "cmd"));
  config.add_args("arg");
  EXPECT_THAT(*CommandLine(config, image), ElementsAre("entry", "arg"));
  config.add_command("own");
  EXPECT_THAT(*CommandLine(config, image), ElementsAre("own", "arg"));
  config.clear_args();
  EXPECT_THAT(*CommandLine(config, image), ElementsAre("own"));
}

TEST(CheckConfigTest, NamesWhatItRefuses) {
  SandboxConfig sandbox;
  sandbox.mutable_metadata()->set_name("n");
  EXPECT_THAT(CheckSandboxConfig(sandbox),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("namespace")));
  sandbox.mutable_metadata()->set_namespace_("ns");
  sandbox.mutable_metadata()->set_uid("u");
  EXPECT_OK(CheckSandboxConfig(sandbox));
  sandbox.set_hostname(std::string(65, 'a'));
  EXPECT_THAT(CheckSandboxConfig(sandbox),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("hostname")));
  ContainerConfig config;
  config.set_name("c");
  config.set_image_id("i");
  EXPECT_OK(CheckContainerConfig(config, sandbox));
  config.mutable_security()->set_privileged(true);
  EXPECT_THAT(CheckContainerConfig(config, sandbox),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("privileged")));
  config.mutable_security()->set_privileged(false);
  config.mutable_security()->mutable_selinux()->set_level("bad level");
  EXPECT_THAT(CheckContainerConfig(config, sandbox),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("selinux")));
}

// ---- Long lists -------------------------------------------------------------

TEST_F(SpecTest, LongListsAreMergedInLinearTime) {
  constexpr int kMany = 50'000;  // a quadratic merge takes minutes
  for (int i = 0; i < kMany; ++i) {
    image_.add_env("N" + std::to_string(i) + "=image");
    auto* var = container_.mutable_config()->add_env();
    var->set_name("N" + std::to_string(i));
    var->set_value("request");
    var->set_unset(i % 2 == 1);
    security().add_masked_paths("/proc/kcore");
    security().add_readonly_paths("/proc/sys" + std::to_string(i % 7));
  }
  ASSERT_OK_AND_ASSIGN(const oci::Spec spec, Build());
  // PATH, HOSTNAME, HOME and every other one.
  EXPECT_EQ(spec.process->env.size(), 3u + kMany / 2);
  EXPECT_THAT(spec.process->env, Contains("N0=request"));
  EXPECT_THAT(spec.process->env, Not(Contains("N1=image")));
  EXPECT_THAT(spec.linux.masked_paths, ElementsAre("/proc/kcore"));
  EXPECT_EQ(spec.linux.readonly_paths.size(), 7u);
}

TEST(UserTest, ManyGroupsAreResolvedInLinearTime) {
  ContainerSecurity security;
  security.set_run_as_user(1000);
  ASSERT_OK_AND_ASSIGN(const ResolvedUser few,
                       ResolveUser(security, "", kPasswd, kGroup));
  std::string file = kGroup;
  for (int i = 0; i < 30'000; ++i) {
    const std::string name = "g" + std::to_string(i);
    file += name + ":x:" + std::to_string(100'000 + i) + ":\n";
    security.add_supplemental_group_names(name);
    security.add_supplemental_groups(100'000 + i);
  }
  ASSERT_OK_AND_ASSIGN(const ResolvedUser user,
                       ResolveUser(security, "", kPasswd, file));
  EXPECT_EQ(user.ids.supplemental_groups_size(),
            few.ids.supplemental_groups_size() + 30'000);
}

TEST(MergeEnvTest, TheLaterValueStandsWhereTheNameCameFirst) {
  EXPECT_THAT(MergeEnv({"A=1", "B=2"}, {"C=3", "A=4", "C=5"}),
              ElementsAre("A=4", "B=2", "C=5"));
  EXPECT_THAT(MergeEnv({}, {"A"}), ElementsAre("A"));
}

}  // namespace
}  // namespace berth::sandbox
