// A container is planned when it is created, and a start keeps to the plan.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "oci/spec/parse.h"
#include "sandbox/container_plan.h"
#include "sandbox/testing/manager_fixture.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class PlanTest : public ManagerTest {
 protected:
  // The configuration that the shim was given.
  oci::Spec Configuration(const ContainerId& id) {
    const auto spec = oci::ParseSpec(
        dir_.Read("run/containers/" + id.str() + "/config.json"));
    EXPECT_OK(spec);
    return spec.ok() ? *spec : oci::Spec();
  }
  // A standalone container, which can be started again.
  ContainerId CreateAlone(const ContainerConfig& config) {
    SandboxConfig sandbox = Pod();
    sandbox.set_kind(SANDBOX_KIND_STANDALONE);
    const auto id = sandboxes_->Create(ctx_, sandbox);
    EXPECT_OK(id);
    const auto app = containers_->Create(ctx_, *id, config);
    EXPECT_OK(app);
    return app.ok() ? *app : ContainerId();
  }
  void StartAlone(const ContainerId& id) {
    EXPECT_OK(sandboxes_->Start(ctx_, SandboxId(id.str())));
    EXPECT_OK(containers_->Start(ctx_, id));
  }
  // Keys of the table.
  std::vector<std::string> Saved(const char* table) {
    std::map<std::string, std::string> records;
    EXPECT_OK(store_->View([&](const Transaction& tx) -> Status {
      ASSIGN_OR_RETURN(records, tx.All(table));
      return OkStatus();
    }));
    std::vector<std::string> keys;
    for (const auto& [key, record] : records) keys.push_back(key);
    return keys;
  }
  // As the daemons before plans left a record.
  void ForgetPlan(const ContainerId& id) {
    ContainerRecord record = *Look(id);
    record.clear_plan();
    ASSERT_OK(world_->core().records.Save(record));
  }
};

TEST_F(PlanTest, AStartKeepsToWhatCreateDecided) {
  images_.config.add_env("FROM=create");
  images_.files["/etc/passwd"] = "web:x:1000:1234::/home/web:/bin/sh\n";
  ContainerConfig config = App();
  config.mutable_security()->set_user("web");
  config.mutable_security()->mutable_seccomp()->set_type(
      SecurityProfile::RUNTIME_DEFAULT);
  const SandboxId pod = StartPod();
  ASSERT_OK_AND_ASSIGN(const ContainerId id,
                       containers_->Create(ctx_, pod, config));
  EXPECT_THAT(Look(id)->plan().spec(), Not(HasSubstr("seccomp")));
  images_.config.set_env(0, "FROM=start");
  images_.config.set_cmd(0, "/bin/other");
  images_.files.clear();
  Restart();  // the plan is a record
  ASSERT_OK(containers_->Start(ctx_, id));
  const oci::Spec spec = Configuration(id);
  EXPECT_THAT(spec.process->args, ElementsAre("/bin/app"));
  EXPECT_THAT(spec.process->env, Contains("FROM=create"));
  EXPECT_THAT(spec.process->env, Contains("HOME=/home/web"));
  EXPECT_EQ(spec.process->user.uid, 1000u);
  EXPECT_TRUE(spec.linux.seccomp.has_value());
  EXPECT_FALSE(spec.linux.namespaces.empty());
  EXPECT_EQ(spec.linux.cgroups_path, Look(id)->cgroup());
}

TEST_F(PlanTest, ARecordWithoutAPlanStartsListsAndStops) {
  const SandboxId pod = StartPod();
  ASSERT_OK_AND_ASSIGN(const ContainerId created,
                       containers_->Create(ctx_, pod, App("created")));
  const ContainerId runs = StartApp(pod, "runs");
  ForgetPlan(created);
  ForgetPlan(runs);
  Restart();
  EXPECT_THAT(world_->inventory().Containers({}), ::testing::SizeIs(2));
  EXPECT_EQ(Look(runs)->phase(), CONTAINER_PHASE_RUNNING);
  ASSERT_OK(containers_->Start(ctx_, created));
  EXPECT_THAT(Configuration(created).process->args, ElementsAre("/bin/app"));
  for (const ContainerId& id : {created, runs}) {
    EXPECT_OK(containers_->Update(ctx_, id, Resources()));
    EXPECT_OK(containers_->Stop(ctx_, id, std::chrono::seconds(1)));
    EXPECT_OK(containers_->Remove(ctx_, id));
  }
}

// Most writes of a container leave it alone.
TEST_F(PlanTest, APlanIsSavedApartFromItsContainer) {
  const ContainerId id = StartApp(StartPod(), "app");
  EXPECT_THAT(Saved("plans"), ElementsAre(id.str()));
  ASSERT_OK(store_->View([&](const Transaction& tx) -> Status {
    ASSIGN_OR_RETURN(const std::string bytes, tx.Get("containers", id.str()));
    ContainerRecord record;
    EXPECT_TRUE(record.ParseFromString(bytes));
    EXPECT_FALSE(record.has_plan());
    return OkStatus();
  }));
  ASSERT_OK(containers_->Stop(ctx_, id, std::chrono::seconds(1)));
  ASSERT_OK(containers_->Remove(ctx_, id));
  EXPECT_THAT(Saved("plans"), IsEmpty());
}

TEST_F(PlanTest, APlanWithinARecordIsTakenOver) {
  const SandboxId pod = StartPod();
  ASSERT_OK_AND_ASSIGN(const ContainerId id,
                       containers_->Create(ctx_, pod, App()));
  const std::string plan = Look(id)->plan().spec();
  // As a daemon left it that had plans in the records; and what such a one
  // does not know to remove.
  ASSERT_OK(store_->Update([&](Transaction& tx) -> Status {
    RETURN_IF_ERROR(tx.Erase("plans", id.str()));
    RETURN_IF_ERROR(tx.Put("plans", std::string(64, 'a'), ""));
    return tx.Put("containers", id.str(), Look(id)->SerializeAsString());
  }));
  Restart();
  EXPECT_EQ(Look(id)->plan().spec(), plan);
  EXPECT_THAT(Saved("plans"), ElementsAre(id.str()));
  ASSERT_OK(containers_->Start(ctx_, id));
  Restart();
  EXPECT_EQ(Look(id)->plan().spec(), plan);
}

TEST_F(PlanTest, NewLimitsAndANewNameAreInTheNextStart) {
  const ContainerId id = CreateAlone(App("first"));
  Resources limits;
  limits.set_cpu_shares(512);
  ASSERT_OK(containers_->Update(ctx_, id, limits));
  ASSERT_OK(containers_->Rename(ctx_, id, "second"));
  StartAlone(id);
  oci::Spec spec = Configuration(id);
  ASSERT_TRUE(spec.linux.resources.has_value());
  EXPECT_EQ(spec.linux.resources->cpu.shares, 512u);
  EXPECT_FALSE(spec.linux.resources->devices.empty());
  EXPECT_EQ(spec.annotations["io.kubernetes.cri.container-name"], "second");
  // While it runs, for the life after this one.
  limits.set_cpu_shares(256);
  ASSERT_OK(containers_->Update(ctx_, id, limits));
  ASSERT_OK(containers_->Stop(ctx_, id, std::chrono::seconds(1)));
  ASSERT_OK(containers_->Start(ctx_, id));
  EXPECT_EQ(Configuration(id).linux.resources->cpu.shares, 256u);
}

// Their numbers are others after a boot, and so may their files be.
TEST_F(PlanTest, CdiDevicesAreLookedUpAtEachStart) {
  const auto describe = [&](const std::string& value) {
    dir_.Write("cdi/d.json",
               R"({"cdiVersion": "1.0.0", "kind": "v/c", "devices": [
                   {"name": "d", "containerEdits": {
                     "env": ["DEVICE=)" +
                   value + R"("], "deviceNodes": [{"path": "/dev/null"}]}}]})");
  };
  dir_.MakeDirectory("cdi");
  describe("create");
  ContainerConfig config = App();
  config.add_cdi_devices("v/c=d");
  const ContainerId id = CreateAlone(config);
  describe("first");
  StartAlone(id);
  oci::Spec spec = Configuration(id);
  EXPECT_THAT(spec.process->env, Contains("DEVICE=first"));
  ASSERT_EQ(spec.linux.devices.size(), 1u);
  EXPECT_EQ(spec.linux.devices[0].minor, 3);
  ASSERT_OK(containers_->Stop(ctx_, id, std::chrono::seconds(1)));
  describe("second");
  ASSERT_OK(containers_->Start(ctx_, id));
  spec = Configuration(id);
  EXPECT_THAT(spec.process->env, Contains("DEVICE=second"));
  EXPECT_EQ(spec.linux.devices.size(), 1u);
  ASSERT_OK(containers_->Stop(ctx_, id, std::chrono::seconds(1)));
  ASSERT_EQ(unlink(dir_.Path("cdi/d.json").c_str()), 0);
  EXPECT_FALSE(containers_->Start(ctx_, id).ok());
  EXPECT_THAT(Look(id)->message(), HasSubstr("unresolvable CDI devices v/c=d"));
}

TEST_F(PlanTest, APlanThatCannotBeReadIsTold) {
  const SandboxId pod = StartPod();
  ASSERT_OK_AND_ASSIGN(const ContainerId id,
                       containers_->Create(ctx_, pod, App()));
  ContainerRecord record = *Look(id);
  record.mutable_plan()->set_spec("{");
  ASSERT_OK(world_->core().records.Save(record));
  EXPECT_FALSE(containers_->Start(ctx_, id).ok());
  EXPECT_EQ(Look(id)->phase(), CONTAINER_PHASE_EXITED);
  EXPECT_THAT(Look(id)->message(), HasSubstr("plan"));
}

}  // namespace
}  // namespace berth::sandbox
