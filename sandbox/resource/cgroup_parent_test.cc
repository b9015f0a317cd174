#include "sandbox/resource/cgroup_parent.h"

#include <string>

#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth::sandbox {
namespace {

using state::v1::SandboxRecord;
using ::testing::HasSubstr;

class CgroupParentTest : public ::testing::Test {
 protected:
  CgroupParentTest() {
    host_.version = oci::CgroupVersion::kV2;
    host_.hierarchies = {{.mount_point = tree_.path(),
                          .controllers = {},
                          .v2 = true,
                          .own_path = "/"}};
  }

  StatusOr<SandboxRecord> Acquired(const std::string& parent, bool systemd,
                                   state::v1::SandboxKind kind) {
    SandboxRecord sandbox;
    sandbox.set_id("0a1");
    sandbox.mutable_config()->set_kind(kind);
    sandbox.mutable_config()->set_cgroup_parent(parent);
    CgroupParent resource(host_, systemd ? "system.slice" : "/berth", systemd);
    RETURN_IF_ERROR(resource.Acquire(Context::Background(), sandbox));
    return sandbox;
  }
  StatusOr<SandboxRecord> Pod(const std::string& parent, bool systemd) {
    return Acquired(parent, systemd, state::v1::SANDBOX_KIND_POD);
  }

  TempDir tree_;
  oci::CgroupHost host_;
};

TEST_F(CgroupParentTest, OfKubeletsSlice) {
  ASSERT_OK_AND_ASSIGN(const SandboxRecord sandbox,
                       Pod("/kubepods.slice/kubepods-burstable.slice/"
                           "kubepods-burstable-pod7.slice",
                           true));
  EXPECT_EQ(sandbox.cgroup().pod_path(),
            "/kubepods.slice/kubepods-burstable.slice/"
            "kubepods-burstable-pod7.slice");
  EXPECT_EQ(ContainerCgroup(sandbox.cgroup(), "c"),
            "kubepods-burstable-pod7.slice:berth:c");
}

TEST_F(CgroupParentTest, APodWithoutOneHasItsOwn) {
  ASSERT_OK_AND_ASSIGN(const SandboxRecord scope, Pod("", true));
  EXPECT_EQ(scope.cgroup().pod_path(), "/system.slice/system-berth0a1.slice");
  EXPECT_TRUE(scope.cgroup().made());
  ASSERT_OK_AND_ASSIGN(const SandboxRecord plain, Pod("", false));
  EXPECT_EQ(plain.cgroup().pod_path(), "/berth/0a1");
  EXPECT_EQ(ContainerCgroup(plain.cgroup(), "c"), "/berth/0a1/c");
}

TEST_F(CgroupParentTest, ASingleContainerIsInTheDefault) {
  ASSERT_OK_AND_ASSIGN(const SandboxRecord sandbox,
                       Acquired("", true, state::v1::SANDBOX_KIND_STANDALONE));
  EXPECT_EQ(ContainerCgroup(sandbox.cgroup(), "c"), "system.slice:berth:c");
  EXPECT_FALSE(sandbox.cgroup().made());
}

TEST_F(CgroupParentTest, WhatIsThereIsNotOursToEnd) {
  tree_.MakeDirectory("a.slice");
  ASSERT_OK_AND_ASSIGN(const SandboxRecord there, Pod("a.slice", true));
  EXPECT_FALSE(there.cgroup().made());
  ASSERT_OK_AND_ASSIGN(const SandboxRecord missing, Pod("b.slice", true));
  EXPECT_TRUE(missing.cgroup().made());
}

TEST_F(CgroupParentTest, EachDriverRefusesTheOthersParents) {
  for (const char* const parent : {"/kubepods/pod7", "pods", "a--b.slice"}) {
    EXPECT_THAT(Pod(parent, true), StatusIs(StatusCode::kInvalidArgument,
                                            HasSubstr("NAME.slice")));
    EXPECT_THAT(CheckCgroupParent(parent, true),
                StatusIs(StatusCode::kInvalidArgument));
  }
  for (const char* const parent : {"a.slice", "/a.slice/a-b.slice"}) {
    EXPECT_THAT(Pod(parent, false),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("cgroupfs")));
  }
  EXPECT_OK(CheckCgroupParent("", true));
  EXPECT_OK(CheckCgroupParent("", false));
  EXPECT_THAT(Pod("/a/../b", false), StatusIs(StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace berth::sandbox
