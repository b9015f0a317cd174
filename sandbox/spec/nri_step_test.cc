#include "sandbox/spec/nri_step.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/nri/api.pb.h"
#include "base/testing/status_matchers.h"
#include "nri/messages.h"

namespace berth::sandbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class NriStepTest : public ::testing::Test {
 protected:
  NriStepTest() {
    spec_.process.emplace();
    spec_.process->args = {"app"};
    spec_.process->env = {"KEPT=1", "GONE=1", "NEW=old"};
    spec_.process->rlimits = {{"RLIMIT_NOFILE", 1, 1}};
    spec_.mounts = {{"/proc", "proc", "proc", {}, {}, {}},
                    {"/data", "bind", "/old", {}, {}, {}}};
    spec_.annotations = {{"gone", "1"}};
    spec_.linux.namespaces = {{oci::NamespaceType::kMount, ""},
                              {oci::NamespaceType::kNetwork, "/net"}};
    spec_.linux.devices = {{"/dev/gone", 'c', 1, 1, {}, {}, {}}};
    spec_.linux.sysctl = {{"kernel.x", "1"}};
  }

  Status Take() {
    return NriStep(
        {sandbox_, container_, image_, host_, {}, {}, {}, {}, {}, &adjustment_},
        spec_);
  }

  state::v1::SandboxRecord sandbox_;
  state::v1::ContainerRecord container_;
  state::v1::ImageConfig image_;
  HostFacts host_;
  nri::api::ContainerAdjustment adjustment_;
  oci::Spec spec_;
};

TEST_F(NriStepTest, NothingChangesNothing) {
  const oci::Spec before = spec_;
  ASSERT_OK(Take());
  spec_.linux.resources.reset();
  EXPECT_EQ(spec_, before);
}

TEST_F(NriStepTest, TheProcessIsAdjusted) {
  adjustment_.add_env()->set_key("-GONE");
  adjustment_.add_env()->set_key("NEW");
  adjustment_.mutable_env(1)->set_value("new");
  adjustment_.add_args("other");
  adjustment_.add_args("-x");
  nri::api::POSIXRlimit& limit = *adjustment_.add_rlimits();
  limit.set_type("nofile");
  limit.set_soft(5);
  limit.set_hard(6);
  ASSERT_OK(Take());
  EXPECT_THAT(spec_.process->env, ElementsAre("KEPT=1", "NEW=new"));
  EXPECT_THAT(spec_.process->args, ElementsAre("other", "-x"));
  EXPECT_THAT(spec_.process->rlimits,
              ElementsAre(oci::Rlimit{"RLIMIT_NOFILE", 5, 6}));
}

TEST_F(NriStepTest, MountsAndDevicesAreTakenAwayAndAdded) {
  adjustment_.add_mounts()->set_destination("-/data");
  nri::api::Mount& mount = *adjustment_.add_mounts();
  mount.set_destination("/data");
  mount.set_type("bind");
  mount.set_source("/new");
  mount.add_options("ro");
  auto& linux = *adjustment_.mutable_linux();
  linux.add_devices()->set_path("-/dev/gone");
  nri::api::LinuxDevice& device = *linux.add_devices();
  device.set_path("/dev/here");
  device.set_type("c");
  device.set_major(10);
  device.set_minor(229);
  ASSERT_OK(Take());
  ASSERT_THAT(spec_.mounts, SizeIs(2));
  EXPECT_EQ(spec_.mounts[1].source, "/new");
  ASSERT_THAT(spec_.linux.devices, SizeIs(1));
  EXPECT_EQ(spec_.linux.devices[0].path, "/dev/here");
  ASSERT_THAT(spec_.linux.resources->devices, SizeIs(1));
  EXPECT_TRUE(spec_.linux.resources->devices[0].allow);
  EXPECT_EQ(spec_.linux.resources->devices[0].minor, 229);
}

TEST_F(NriStepTest, TheRestIsAdjusted) {
  (*adjustment_.mutable_annotations())["-gone"] = "";
  (*adjustment_.mutable_annotations())["new"] = "1";
  adjustment_.mutable_hooks()->add_poststart()->set_path("/hook");
  auto& linux = *adjustment_.mutable_linux();
  linux.add_namespaces()->set_type("-network");
  linux.add_namespaces()->set_type("cgroup");
  (*linux.mutable_sysctl())["-kernel.x"] = "";
  (*linux.mutable_sysctl())["net.y"] = "2";
  linux.mutable_seccomp_policy()->set_default_action("SCMP_ACT_ALLOW");
  ASSERT_OK(Take());
  EXPECT_THAT(spec_.annotations, ElementsAre(std::pair("new", "1")));
  EXPECT_EQ(spec_.hooks.poststart[0].path, "/hook");
  EXPECT_EQ(spec_.linux.Find(oci::NamespaceType::kNetwork), nullptr);
  EXPECT_NE(spec_.linux.Find(oci::NamespaceType::kCgroup), nullptr);
  EXPECT_THAT(spec_.linux.sysctl, ElementsAre(std::pair("net.y", "2")));
  EXPECT_EQ(spec_.linux.seccomp->default_action, "SCMP_ACT_ALLOW");
}

TEST_F(NriStepTest, WhenAndWhereItRunsIsAdjusted) {
  auto& linux = *adjustment_.mutable_linux();
  linux.mutable_io_priority()->set_class_(nri::api::IOPRIO_CLASS_RT);
  linux.mutable_io_priority()->set_priority(3);
  nri::api::LinuxScheduler& scheduler = *linux.mutable_scheduler();
  scheduler.set_policy(nri::api::NRI_SCHED_BATCH);
  scheduler.set_nice(5);
  scheduler.add_flags(nri::api::NRI_SCHED_FLAG_RESET_ON_FORK);
  (*linux.mutable_net_devices())["eth5"].set_name("eth1");
  nri::api::LinuxMemoryPolicy& memory = *linux.mutable_memory_policy();
  memory.set_mode(nri::api::MPOL_BIND);
  memory.set_nodes("0");
  memory.add_flags(nri::api::MPOL_F_STATIC_NODES);
  ASSERT_OK(Take());
  EXPECT_EQ(spec_.process->io_priority,
            (oci::IoPriority{"IOPRIO_CLASS_RT", 3}));
  EXPECT_EQ(spec_.process->scheduler->policy, "SCHED_BATCH");
  EXPECT_EQ(spec_.process->scheduler->nice, 5);
  EXPECT_THAT(spec_.process->scheduler->flags,
              ElementsAre("SCHED_FLAG_RESET_ON_FORK"));
  EXPECT_THAT(spec_.linux.net_devices, ElementsAre(std::pair("eth5", "eth1")));
  EXPECT_EQ(spec_.linux.memory_policy,
            (oci::MemoryPolicy{"MPOL_BIND", "0", {"MPOL_F_STATIC_NODES"}}));
}

// A plugin may be newer than the protocol here.
TEST_F(NriStepTest, NumbersWithoutANameAreRefused) {
  constexpr int kNew = 121;
  const auto refused = [this](const std::string& field, const auto& set) {
    adjustment_.Clear();
    set(*adjustment_.mutable_linux());
    EXPECT_THAT(Take(), StatusIs(StatusCode::kInvalidArgument,
                                 HasSubstr(field + ": no value 121")));
  };
  using Linux = nri::api::LinuxContainerAdjustment;
  refused("io_priority.class", [](Linux& linux) {
    linux.mutable_io_priority()->set_class_(
        static_cast<nri::api::IOPrioClass>(kNew));
  });
  refused("scheduler.policy", [](Linux& linux) {
    linux.mutable_scheduler()->set_policy(
        static_cast<nri::api::LinuxSchedulerPolicy>(kNew));
  });
  refused("scheduler.flags", [](Linux& linux) {
    linux.mutable_scheduler()->add_flags(
        static_cast<nri::api::LinuxSchedulerFlag>(kNew));
  });
  refused("memory_policy.mode", [](Linux& linux) {
    linux.mutable_memory_policy()->set_mode(
        static_cast<nri::api::MpolMode>(kNew));
  });
  refused("memory_policy.flags", [](Linux& linux) {
    linux.mutable_memory_policy()->add_flags(
        static_cast<nri::api::MpolFlag>(kNew));
  });
}

TEST_F(NriStepTest, ARuleOfDevicesThatNoRuntimeReadsIsRefused) {
  auto* rule = adjustment_.mutable_linux()->mutable_resources()->add_devices();
  rule->set_access("rwx");
  EXPECT_THAT(Take(), StatusIs(StatusCode::kInvalidArgument, HasSubstr("rwx")));
  rule->set_access("rw");
  rule->set_type("pipe");
  EXPECT_THAT(Take(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("pipe")));
  rule->set_type("c");
  EXPECT_OK(Take());
}

TEST_F(NriStepTest, WhatCannotBeDoneIsRefusedByName) {
  adjustment_.mutable_linux()->mutable_rdt();
  EXPECT_THAT(Take(), StatusIs(StatusCode::kUnimplemented, HasSubstr("rdt")));
  adjustment_.mutable_linux()->clear_rdt();
  adjustment_.mutable_linux()->add_namespaces()->set_type("galaxy");
  EXPECT_THAT(Take(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("galaxy")));
  adjustment_.mutable_linux()->clear_namespaces();
  adjustment_.mutable_linux()->add_devices()->set_path("/dev/x");
  EXPECT_THAT(Take(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("/dev/x")));
}

}  // namespace
}  // namespace berth::sandbox
