// Sandboxes and containers through the managers with the real shim and the
// real runtime: what a pod goes through. Needs root.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "base/store/metadata_store.h"
#include "base/strings.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "sandbox/container_manager.h"
#include "sandbox/container_streams.h"
#include "sandbox/sandbox_manager.h"
#include "sandbox/testing/fakes.h"
#include "sandbox/world.h"
#include "shim/client/shim_launcher.h"

namespace berth::sandbox {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
namespace fs = std::filesystem;

// A root file system made of busybox alone.
void MakeRootfs(const TempDir& dir) {
  for (const char* name : {"bin", "dev", "etc", "proc", "sys", "tmp", "root"}) {
    dir.MakeDirectory(std::string("image/") + name);
  }
  fs::copy_file("/usr/bin/busybox", dir.Path("image/bin/busybox"));
  for (const char* name : {"sh", "cat", "sleep", "echo", "id", "true", "ls",
                           "hostname", "kill", "ps", "tail", "test"}) {
    fs::create_symlink("busybox", dir.Path(std::string("image/bin/") + name));
  }
  dir.Write("image/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
}

class LifecycleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    MakeRootfs(dir_);
    images_ = std::make_unique<FakeImages>(dir_.Path("image"));
    images_->files["/etc/passwd"] = "root:x:0:0:root:/root:/bin/sh\n";
    launcher_ = shim::NewShimLauncher();
    Open();
  }

  void TearDown() override {
    if (geteuid() != 0) return;
    const Context ctx = Context::Background("test").WithTimeout(60s);
    if (sandboxes_ && !sandbox_.empty()) {
      EXPECT_OK(sandboxes_->Remove(ctx, sandbox_));
    }
    Close();
    umount2(dir_.Path("small").c_str(), MNT_DETACH);
    for (const auto& entry : fs::directory_iterator("/sys/fs/cgroup")) {
      rmdir((entry.path().string() + Cgroup()).c_str());
      EXPECT_FALSE(fs::exists(entry.path().string() + Cgroup()));
    }
    EXPECT_THAT(LeftBelow("run"), IsEmpty());
    EXPECT_THAT(MountsBelow(dir_.path()), IsEmpty());
  }

  static std::string Cgroup() {
    return "/berth-test-" + std::to_string(getpid());
  }

  void Open() {
    auto store = MetadataStore::Open(database_);
    ASSERT_OK(store);
    store_ = *std::move(store);
    Settings settings;
    settings.shim_silence = std::chrono::seconds(1);
    settings.root = dir_.Path("lib");
    settings.state = dir_.Path("run");
    settings.cgroup_parent = Cgroup();
    const char* shim = std::getenv("BERTH_SHIM");
    settings.runtimes[""].shim =
        shim != nullptr ? shim : fs::absolute("shim/berth-shim").string();
    if (const char* runtime = std::getenv("BERTH_RUNTIME")) {
      settings.runtimes[""].program = runtime;
    }
    world_ = std::make_unique<World>(
        settings, Parts{*store_, *launcher_, network_, *images_});
    sandboxes_ = std::make_unique<SandboxManager>(*world_);
    containers_ = std::make_unique<ContainerManager>(*world_);
    streams_ = std::make_unique<ContainerStreams>(*world_);
    ASSERT_OK(world_->Recover(ctx_));
    world_->FinishRecovery();
    ASSERT_OK(world_->AwaitRecovery(ctx_));
  }

  void Close() {
    streams_.reset();
    containers_.reset();
    sandboxes_.reset();
    world_.reset();
    store_.reset();
  }

  std::vector<std::string> LeftBelow(const std::string& name) {
    std::vector<std::string> left;
    for (const char* kind : {"/sandboxes", "/containers", "/oci", "/shims"}) {
      const std::string path = dir_.Path(name + kind);
      if (!fs::exists(path)) continue;
      for (const auto& entry : fs::directory_iterator(path)) {
        // A cache, not a container.
        if (entry.path().filename() != "@seccomp") left.push_back(entry.path());
      }
    }
    return left;
  }

  std::vector<std::string> MountsBelow(const std::string& path) {
    std::vector<std::string> found;
    std::ifstream mounts("/proc/self/mountinfo");
    for (std::string line; std::getline(mounts, line);) {
      if (line.find(" " + path) != std::string::npos) found.push_back(line);
    }
    return found;
  }

  SandboxConfig PodConfig() {
    SandboxConfig config;
    config.mutable_metadata()->set_name("pod");
    config.mutable_metadata()->set_namespace_("default");
    config.mutable_metadata()->set_uid("uid-1");
    config.set_hostname("pod-host");
    config.set_log_directory(dir_.Path("logs"));
    config.mutable_namespaces()->set_pid(state::v1::NAMESPACE_MODE_CONTAINER);
    return config;
  }

  ContainerConfig ShellConfig(const std::string& name,
                              const std::string& script) {
    ContainerConfig config;
    config.set_name(name);
    config.set_image_id("sha256:busybox");
    config.add_command("/bin/sh");
    config.add_command("-c");
    config.add_command(script);
    config.mutable_log()->set_path(name + "/0.log");
    auto& security = *config.mutable_security();
    security.set_default_paths(true);
    security.mutable_namespaces()->set_pid(state::v1::NAMESPACE_MODE_CONTAINER);
    security.mutable_seccomp()->set_type(
        state::v1::SecurityProfile::RUNTIME_DEFAULT);
    return config;
  }

  void StartPod(const SandboxConfig& config) {
    ASSERT_OK_AND_ASSIGN(sandbox_, sandboxes_->Create(ctx_, config));
    ASSERT_OK(sandboxes_->Start(ctx_, sandbox_));
  }

  ContainerId Run(const ContainerConfig& config) {
    auto id = containers_->Create(ctx_, sandbox_, config);
    EXPECT_OK(id);
    if (!id.ok()) return ContainerId();
    EXPECT_OK(containers_->Start(ctx_, *id));
    return *id;
  }

  std::string Log(const std::string& name) {
    std::ifstream file(dir_.Path("logs/" + name + "/0.log"));
    return {std::istreambuf_iterator<char>(file), {}};
  }

  // The shim of the pod.
  // The shorter place is taken if the path of the socket would be too long.
  std::string ShimFolder() {
    const std::string usual =
        dir_.Path("run/sandboxes/" + sandbox_.str() + "/shim");
    if (std::filesystem::exists(usual)) return usual;
    return dir_.Path("run/shims/" + sandbox_.str().substr(0, 24));
  }
  pid_t ShimPid() {
    std::ifstream file(ShimFolder() + "/bootstrap.json");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const size_t at = text.find("\"pid\":");
    return at == std::string::npos ? 0 : atoi(text.c_str() + at + 6);
  }
  ContainerStatus Look(const ContainerId& id) {
    auto found = world_->inventory().Container(id.str());
    EXPECT_OK(found);
    return found.ok() ? *found : nullptr;
  }

  TempDir dir_;
  std::string database_ = dir_.Path("meta.db");
  const Context ctx_ = Context::Background("test").WithTimeout(60s);
  std::unique_ptr<MetadataStore> store_;
  std::unique_ptr<shim::ShimLauncher> launcher_;
  FakeNetwork network_;
  std::unique_ptr<FakeImages> images_;
  std::unique_ptr<World> world_;
  std::unique_ptr<SandboxManager> sandboxes_;
  std::unique_ptr<ContainerManager> containers_;
  std::unique_ptr<ContainerStreams> streams_;
  SandboxId sandbox_;
};

TEST_F(LifecycleTest, RunsAPodFromStartToEnd) {
  StartPod(PodConfig());
  const ContainerId id = Run(
      ShellConfig("main", "echo hello; hostname; echo oops >&2; sleep 1000"));
  ASSERT_FALSE(id.empty());

  ASSERT_OK_AND_ASSIGN(
      ExecResult result,
      streams_->ExecSync(ctx_, id, {"/bin/sh", "-c", "id -u; exit 3"}, 10s,
                         1 << 20));
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.output, "0\n");

  const auto before = std::chrono::steady_clock::now();
  ASSERT_OK(containers_->Stop(ctx_, id, 1s));
  EXPECT_LT(std::chrono::steady_clock::now() - before, 10s);
  ASSERT_OK_AND_ASSIGN(const ContainerStatus ended,
                       world_->inventory().Container(id.str()));
  EXPECT_EQ(ended->phase(), state::v1::CONTAINER_PHASE_EXITED);
  EXPECT_EQ(ended->exit_code(), 137) << "sh as pid 1 ignores SIGTERM";

  const std::string log = Log("main");
  EXPECT_THAT(log, HasSubstr(" stdout F hello\n"));
  EXPECT_THAT(log, HasSubstr(" stdout F pod-host\n"));
  EXPECT_THAT(log, HasSubstr(" stderr F oops\n"));
  ASSERT_OK(sandboxes_->Stop(ctx_, sandbox_));
  ASSERT_OK(sandboxes_->Remove(ctx_, sandbox_));
  EXPECT_THAT(world_->inventory().Containers({}), IsEmpty());
  EXPECT_THAT(images_->keys(), IsEmpty());
}

TEST_F(LifecycleTest, RecordsTheExitCode) {
  StartPod(PodConfig());
  const ContainerId id = Run(ShellConfig("main", "exit 7"));
  ASSERT_OK_AND_ASSIGN(const ContainerStatus ended,
                       containers_->Wait(ctx_, id));
  EXPECT_EQ(ended->exit_code(), 7);
  EXPECT_EQ(ended->reason(), "Error");
}

TEST_F(LifecycleTest, SaysWhyAProgramCouldNotRun) {
  StartPod(PodConfig());
  ContainerConfig config = ShellConfig("main", "");
  config.clear_command();
  config.add_command("/no/such/program");
  ASSERT_OK_AND_ASSIGN(const ContainerId id,
                       containers_->Create(ctx_, sandbox_, config));
  EXPECT_FALSE(containers_->Start(ctx_, id).ok());
  ASSERT_OK_AND_ASSIGN(const ContainerStatus ended,
                       world_->inventory().Container(id.str()));
  EXPECT_EQ(ended->phase(), state::v1::CONTAINER_PHASE_EXITED);
  EXPECT_EQ(ended->exit_code(), 128);
  EXPECT_EQ(ended->reason(), "StartError");
}

TEST_F(LifecycleTest, SharesAPidNamespace) {
  SandboxConfig config = PodConfig();
  config.mutable_namespaces()->set_pid(state::v1::NAMESPACE_MODE_POD);
  StartPod(config);
  ContainerConfig first = ShellConfig("one", "sleep 4321");
  first.mutable_security()->mutable_namespaces()->set_pid(
      state::v1::NAMESPACE_MODE_POD);
  const ContainerId id = Run(first);
  ContainerConfig second = first;
  second.set_name("two");
  second.mutable_log()->set_path("two/0.log");
  const ContainerId other = Run(second);
  ASSERT_OK_AND_ASSIGN(
      const ExecResult result,
      streams_->ExecSync(ctx_, other, {"/bin/ps"}, 10s, 1 << 20));
  const size_t at = result.output.find("sleep 4321");
  ASSERT_NE(at, std::string::npos) << result.output;
  EXPECT_NE(result.output.find("sleep 4321", at + 1), std::string::npos);
  ASSERT_OK(containers_->Stop(ctx_, id, 1s));
}

TEST_F(LifecycleTest, APodWithAStoppedShimCanBeRemoved) {
  StartPod(PodConfig());
  const ContainerId id = Run(ShellConfig("main", "sleep 1000"));
  const pid_t shim = ShimPid();
  ASSERT_GT(shim, 1);
  ASSERT_EQ(kill(shim, SIGSTOP), 0);
  EXPECT_THAT(streams_->ExecSync(ctx_, id, {"/bin/true"}, 1s, 1),
              StatusIs(StatusCode::kDeadlineExceeded));
  ASSERT_OK(containers_->Stop(ctx_, id, 100ms));
  EXPECT_EQ(Look(id)->exit_code(), 255);
  EXPECT_THAT(Look(id)->message(), HasSubstr("shim"));
  ASSERT_OK(sandboxes_->Stop(ctx_, sandbox_));
  ASSERT_OK(sandboxes_->Remove(ctx_, sandbox_));
  EXPECT_EQ(kill(shim, 0), -1);
}

TEST_F(LifecycleTest, ANewDaemonIsToldThatAShimIsStopped) {
  StartPod(PodConfig());
  const pid_t shim = ShimPid();
  ASSERT_GT(shim, 1);
  ASSERT_EQ(kill(shim, SIGSTOP), 0);
  shim::SandboxShim describe;
  describe.id = sandbox_.str();
  describe.state_dir = ShimFolder();
  EXPECT_THAT(launcher_->Reconnect(ctx_.WithTimeout(300ms), describe),
              StatusIs(StatusCode::kDeadlineExceeded));
  ASSERT_EQ(kill(shim, SIGCONT), 0);
}

TEST_F(LifecycleTest, APodWhosePidOneIsKilledIsNotReady) {
  SandboxConfig config = PodConfig();
  config.mutable_namespaces()->set_pid(state::v1::NAMESPACE_MODE_POD);
  StartPod(config);
  ASSERT_OK_AND_ASSIGN(SandboxStatus pod,
                       world_->inventory().Sandbox(sandbox_.str()));
  ASSERT_GT(pod->pod_pid(), 1);
  ASSERT_EQ(kill(pod->pod_pid(), SIGKILL), 0);
  const auto ready = [&] {
    pod = *world_->inventory().Sandbox(sandbox_.str());
    return pod->phase() == state::v1::SANDBOX_PHASE_READY;
  };
  while (ready()) std::this_thread::yield();
  EXPECT_EQ(pod->reason(), "PodInitExited");
}

TEST_F(LifecycleTest, EverythingEndsOnAFullDisk) {
  // A file system of its own for the database.
  Close();
  dir_.MakeDirectory("small");
  ASSERT_EQ(mount("tmpfs", dir_.Path("small").c_str(), "tmpfs", 0, "size=24m"),
            0);
  database_ = dir_.Path("small/meta.db");
  Open();
  StartPod(PodConfig());
  const ContainerId ends =
      Run(ShellConfig("ends",
                      "while test ! -e /tmp/go; do sleep 0.1; done; "
                      "exit 5"));
  const ContainerId runs = Run(ShellConfig("runs", "sleep 1000"));
  // Whatever is kept back for this is used up too.
  std::ofstream(dir_.Path("small/filler")) << std::string(32 << 20, 'x');
  for (int i = 0; i < 100; ++i) {
    containers_->SetDoorNotes(ctx_, runs, std::string(64 << 10, 'x'))
        .IgnoreError();
  }
  dir_.Write("image/tmp/go", "");
  ASSERT_OK_AND_ASSIGN(const ContainerStatus ended,
                       containers_->Wait(ctx_, ends));
  EXPECT_EQ(ended->exit_code(), 5);
  EXPECT_OK(containers_->Stop(ctx_, runs, 100ms));
  EXPECT_OK(containers_->Remove(ctx_, runs));
  EXPECT_OK(sandboxes_->Stop(ctx_, sandbox_));
  // Room again: what is known is saved.
  fs::remove(dir_.Path("small/filler"));
  Close();
  Open();
  EXPECT_EQ(Look(ends)->exit_code(), 5);
  EXPECT_EQ(Look(ends)->phase(), state::v1::CONTAINER_PHASE_EXITED);
  EXPECT_THAT(world_->inventory().Container(runs.str()),
              StatusIs(StatusCode::kNotFound));
  EXPECT_OK(sandboxes_->Remove(ctx_, sandbox_));
}

TEST_F(LifecycleTest, ANewDaemonFindsWhatRuns) {
  StartPod(PodConfig());
  const ContainerId runs = Run(ShellConfig("runs", "sleep 1000"));
  const ContainerId ends =
      Run(ShellConfig("ends",
                      "while test ! -e /tmp/go; do sleep 0.1; done; "
                      "exit 5"));
  Close();
  dir_.Write("image/tmp/go", "");
  Open();
  ASSERT_OK_AND_ASSIGN(const ContainerStatus alive,
                       world_->inventory().Container(runs.str()));
  EXPECT_EQ(alive->phase(), state::v1::CONTAINER_PHASE_RUNNING);
  ASSERT_OK_AND_ASSIGN(const ContainerStatus ended,
                       containers_->Wait(ctx_, ends));
  EXPECT_EQ(ended->exit_code(), 5);
  ASSERT_OK_AND_ASSIGN(
      const ExecResult result,
      streams_->ExecSync(ctx_, runs, {"/bin/echo", "still"}, 10s, 1 << 20));
  EXPECT_EQ(result.output, "still\n");
}

TEST_F(LifecycleTest, TellsOfMemoryThatRanOut) {
  StartPod(PodConfig());
  // tail keeps the last line, which never ends.
  ContainerConfig config = ShellConfig("main", "exec tail /dev/zero");
  config.mutable_resources()->set_memory_limit(15 << 20);
  config.mutable_resources()->set_memory_swap_limit(15 << 20);
  const ContainerId id = Run(config);
  ASSERT_OK_AND_ASSIGN(const ContainerStatus ended,
                       containers_->Wait(ctx_, id));
  EXPECT_EQ(ended->exit_code(), 137);
  EXPECT_EQ(ended->reason(), "OOMKilled");
}

TEST_F(LifecycleTest, ExecsWithAStream) {
  StartPod(PodConfig());
  const ContainerId id = Run(ShellConfig("main", "sleep 1000"));
  ExecConfig config;
  config.args = {"/bin/cat"};
  config.stdin = true;
  ASSERT_OK_AND_ASSIGN(StreamSession session, streams_->Exec(ctx_, id, config));
  ASSERT_EQ(write(session.stdin_fd().get(), "abc\n", 4), 4);
  ASSERT_OK(session.CloseStdin(ctx_));
  char buffer[64];
  std::string out;
  for (ssize_t n;
       (n = read(session.stdout_fd().get(), buffer, sizeof(buffer))) > 0;) {
    out.append(buffer, static_cast<size_t>(n));
  }
  EXPECT_EQ(out, "abc\n");
  EXPECT_THAT(session.Wait(ctx_), IsOkAndHolds(0));
}

TEST_F(LifecycleTest, AttachesToTheFirstProcess) {
  StartPod(PodConfig());
  ContainerConfig config = ShellConfig("main", "cat");
  config.set_stdin(true);
  config.set_stdin_once(true);
  const ContainerId id = Run(config);
  ASSERT_OK_AND_ASSIGN(StreamSession session, streams_->Attach(ctx_, id, true));
  ASSERT_EQ(write(session.stdin_fd().get(), "hello\n", 6), 6);
  char buffer[64];
  ASSERT_EQ(read(session.stdout_fd().get(), buffer, sizeof(buffer)), 6);
  ASSERT_OK(session.CloseStdin(ctx_));
  EXPECT_THAT(session.Wait(ctx_), IsOkAndHolds(0));
}

TEST_F(LifecycleTest, AHarderStopGetsThrough) {
  StartPod(PodConfig());
  const ContainerId id = Run(ShellConfig("main", "sleep 1000"));
  // Were it waited for, the request would run out of its time.
  std::thread gentle([&] { EXPECT_OK(containers_->Stop(ctx_, id, 1h)); });
  while ((*world_->inventory().Container(id.str()))->phase() !=
         state::v1::CONTAINER_PHASE_STOPPING) {
    std::this_thread::yield();
  }
  EXPECT_OK(containers_->Stop(ctx_, id, 0s));
  gentle.join();
}

}  // namespace
}  // namespace berth::sandbox
