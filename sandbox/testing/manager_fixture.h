#ifndef SANDBOX_TESTING_MANAGER_FIXTURE_H_
#define SANDBOX_TESTING_MANAGER_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "base/store/metadata_store.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "sandbox/container_manager.h"
#include "sandbox/container_streams.h"
#include "sandbox/core.h"
#include "sandbox/sandbox_manager.h"
#include "sandbox/testing/fakes.h"
#include "sandbox/world.h"

namespace berth::sandbox {

// Both managers against fake shims, a fake network and fake images, which stay
// when the daemon is closed and opened again. Checks at the end that nothing
// is left when all has been removed. Needs root.
class ManagerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    images_.config.add_cmd("/bin/app");
    Open();
  }

  void TearDown() override {
    if (geteuid() != 0) return;
    shims_.failures.Clear("Destroy");
    network_.failures.Clear("Detach");
    images_.failures.Clear("Release");
    for (const auto& sandbox : world_->core().inventory.AllSandboxes()) {
      EXPECT_OK(sandboxes_->Remove(ctx_, SandboxId(sandbox->id())));
    }
    Close();
    ExpectNothingLeft();
    RemoveCgroups();
  }

  // Parents of what a test has made, in each hierarchy.
  void RemoveCgroups() {
    const std::string root = "/sys/fs/cgroup";
    rmdir((root + parent_).c_str());
    for (const auto& tree : std::filesystem::directory_iterator(root)) {
      rmdir((tree.path().string() + parent_).c_str());
    }
  }

  void Open() {
    OpenDoors();
    world_->FinishRecovery();
    ASSERT_OK(world_->AwaitRecovery(ctx_));
  }

  // A daemon at the moment when its doors open.
  void OpenDoors() {
    Make();
    ASSERT_OK(world_->Recover(ctx_));
  }

  void Make() {
    auto store = MetadataStore::Open(dir_.Path("meta.db"));
    ASSERT_OK(store);
    store_ = *std::move(store);
    Settings settings;
    settings.root = dir_.Path("lib");
    settings.state = dir_.Path("run");
    settings.cgroup_parent = parent_;
    settings.runtimes = runtimes_;
    settings.runtimes[""] = Runtime();
    settings.log_line = 4096;
    settings.cdi_spec_dirs = dir_.Path("cdi");
    settings.shim_silence = silence_;
    world_ = std::make_unique<World>(
        settings, Parts{*store_, shims_, network_, images_, plugins_});
    sandboxes_ = std::make_unique<SandboxManager>(*world_);
    containers_ = std::make_unique<ContainerManager>(*world_);
    streams_ = std::make_unique<ContainerStreams>(*world_);
  }

  void Close() {
    streams_.reset();
    containers_.reset();
    sandboxes_.reset();
    world_.reset();
    store_.reset();
  }

  void Restart() {
    Close();
    Open();
  }

  // What a daemon that was killed left in the store.
  void Edit(const ContainerId& id, ContainerPhase phase) {
    ContainerRecord record = *world_->core().inventory.FindContainer(id);
    record.set_phase(phase);
    ASSERT_OK(world_->core().records.Save(record));
  }
  void Edit(const SandboxId& id, SandboxPhase phase) {
    SandboxRecord record = *world_->core().inventory.FindSandbox(id);
    record.set_phase(phase);
    ASSERT_OK(world_->core().records.Save(record));
  }

  void ExpectNothingLeft() {
    EXPECT_EQ(shims_.size(), 0u);
    EXPECT_THAT(network_.attached(), ::testing::IsEmpty());
    EXPECT_THAT(images_.keys(), ::testing::IsEmpty());
    for (const char* kind : {"run/sandboxes", "run/containers", "lib/sandboxes",
                             "lib/containers", "run/shims"}) {
      if (dir_.Exists(kind)) {
        EXPECT_THAT(dir_.Names(kind), ::testing::IsEmpty()) << kind;
      }
    }
  }

  SandboxConfig Pod(const std::string& name = "pod") {
    SandboxConfig config;
    config.mutable_metadata()->set_name(name);
    config.mutable_metadata()->set_namespace_("ns");
    config.mutable_metadata()->set_uid("uid");
    config.set_log_directory(dir_.Path("logs"));
    config.mutable_namespaces()->set_pid(state::v1::NAMESPACE_MODE_CONTAINER);
    return config;
  }

  ContainerConfig App(const std::string& name = "app") {
    ContainerConfig config;
    config.set_name(name);
    config.set_image_id("sha256:busybox");
    config.mutable_security()->mutable_namespaces()->set_pid(
        state::v1::NAMESPACE_MODE_CONTAINER);
    return config;
  }

  SandboxId StartPod() {
    auto id = sandboxes_->Create(ctx_, Pod());
    EXPECT_OK(id);
    EXPECT_OK(sandboxes_->Start(ctx_, *id));
    return *id;
  }

  ContainerId StartApp(const SandboxId& in, const std::string& name = "app") {
    auto id = containers_->Create(ctx_, in, App(name));
    EXPECT_OK(id);
    if (!id.ok()) return ContainerId();
    EXPECT_OK(containers_->Start(ctx_, *id));
    return *id;
  }

  ContainerStatus Look(const ContainerId& id) {
    return world_->core().inventory.FindContainer(id);
  }
  SandboxStatus Look(const SandboxId& id) {
    return world_->core().inventory.FindSandbox(id);
  }

  // Of the next Open.
  Duration silence_ = std::chrono::seconds(10);
  TempDir dir_;
  const Context ctx_ =
      Context::Background("test").WithTimeout(std::chrono::seconds(60));
  FakeShims shims_;
  FakeNetwork network_;
  std::map<std::string, Runtime> runtimes_;  // besides the default
  const std::string parent_ = "/berth-unit-" + std::to_string(getpid());
  FakeImages images_{""};
  // Of the next Open; stopped by then before Close.
  nri::Plugins* plugins_ = nullptr;
  std::unique_ptr<MetadataStore> store_;
  std::unique_ptr<World> world_;
  std::unique_ptr<SandboxManager> sandboxes_;
  std::unique_ptr<ContainerManager> containers_;
  std::unique_ptr<ContainerStreams> streams_;
};

}  // namespace berth::sandbox

#endif  // SANDBOX_TESTING_MANAGER_FIXTURE_H_
