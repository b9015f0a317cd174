// Cgroup on this machine's own kernel: the same tests for v1 and v2.
#include "oci/cgroup/cgroup.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/sys/file.h"
#include "base/testing/status_matchers.h"
#include "oci/cgroup/device_filter.h"

namespace berth::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

// Waits for something that another process does; false after ten seconds.
bool Eventually(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

class CgroupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_OK_AND_ASSIGN(host_, CgroupHost::Detect());
    path_ = "/berth-test-" + std::to_string(getpid()) + "/leaf";
    ASSERT_OK_AND_ASSIGN(cgroup_, OpenCgroup(host_, path_));
  }

  void TearDown() override {
    if (cgroup_ == nullptr) return;
    EXPECT_OK(cgroup_->Signal(SIGKILL));
    for (const pid_t child : children_) waitpid(child, nullptr, 0);
    EXPECT_OK(cgroup_->Remove());
    const std::string parent = path_.substr(0, path_.rfind('/'));
    for (const CgroupHierarchy& hierarchy : host_.hierarchies) {
      const std::string directory = hierarchy.mount_point + parent;
      EXPECT_TRUE(rmdir(directory.c_str()) == 0 || errno == ENOENT);
    }
  }

  bool v2() const { return host_.version == CgroupVersion::kV2; }

  std::string FileOf(const std::string& controller, const std::string& v1_name,
                     const std::string& v2_name) const {
    const CgroupHierarchy* const hierarchy = host_.Find(controller);
    if (hierarchy == nullptr) return "";
    return hierarchy->mount_point + path_ + "/" + (v2() ? v2_name : v1_name);
  }
  std::string Read(const std::string& controller, const std::string& v1_name,
                   const std::string& v2_name) const {
    const auto text = ReadFile(FileOf(controller, v1_name, v2_name), 1 << 20);
    if (!text.ok()) return text.status().ToString();
    return text->substr(0, text->find('\n'));
  }

  // A child that walks in by itself and then runs `body`.
  pid_t ChildInside(const std::function<void()>& body) {
    int ready[2];
    EXPECT_EQ(pipe2(ready, O_CLOEXEC), 0);
    const pid_t child = fork();
    if (child == 0) {
      const bool entered = cgroup_->EnterSelf().ok();
      if (write(ready[1], entered ? "y" : "n", 1) != 1) _exit(98);
      if (!entered) _exit(99);
      body();
      _exit(0);
    }
    close(ready[1]);
    char answer = 0;
    EXPECT_EQ(read(ready[0], &answer, 1), 1);
    EXPECT_EQ(answer, 'y');
    close(ready[0]);
    children_.push_back(child);
    return child;
  }
  pid_t SleeperInside() {
    return ChildInside([] { pause(); });
  }
  static int StatusOf(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return status;
  }

  CgroupHost host_;
  std::string path_;
  std::unique_ptr<Cgroup> cgroup_;
  std::vector<pid_t> children_;
};

TEST_F(CgroupTest, SetsLimits) {
  Resources limits;
  limits.memory.limit = 64 << 20;
  limits.pids_limit = 17;
  limits.cpu.quota = 50000;
  limits.cpu.period = 100000;
  limits.cpu.cpus = "0";
  ASSERT_OK(cgroup_->Create(limits));
  EXPECT_EQ(Read("memory", "memory.limit_in_bytes", "memory.max"), "67108864");
  EXPECT_EQ(Read("pids", "pids.max", "pids.max"), "17");
  EXPECT_EQ(Read("cpu", "cpu.cfs_quota_us", "cpu.max"),
            v2() ? "50000 100000" : "50000");
  EXPECT_EQ(Read("cpuset", "cpuset.cpus", "cpuset.cpus"), "0");
}

TEST_F(CgroupTest, UpdatesWhatIsSetAndLeavesTheRest) {
  Resources limits;
  limits.memory.limit = 64 << 20;
  limits.memory.swap = 64 << 20;
  limits.pids_limit = 17;
  limits.cpu.quota = 50000;
  limits.cpu.period = 100000;
  ASSERT_OK(cgroup_->Create(limits));
  Resources more;
  more.memory.limit = 128 << 20;  // above the old limit of memory and swap
  more.memory.swap = 128 << 20;
  more.cpu.period = 200000;
  ASSERT_OK(cgroup_->Update(more));
  EXPECT_EQ(Read("memory", "memory.limit_in_bytes", "memory.max"), "134217728");
  EXPECT_EQ(Read("pids", "pids.max", "pids.max"), "17");
  EXPECT_EQ(Read("cpu", "cpu.cfs_quota_us", "cpu.max"),
            v2() ? "50000 200000" : "50000");
  Resources fewer;
  fewer.memory.limit = 32 << 20;
  fewer.memory.swap = 32 << 20;
  ASSERT_OK(cgroup_->Update(fewer));
  EXPECT_EQ(Read("memory", "memory.limit_in_bytes", "memory.max"), "33554432");
}

TEST_F(CgroupTest, AWrongLimitLeavesNothing) {
  Resources limits;
  limits.cpu.cpus = "4000-4001";
  EXPECT_THAT(cgroup_->Create(limits), Not(IsOk()));
  EXPECT_THAT(cgroup_->Stats(), StatusIs(StatusCode::kNotFound));
  struct stat info;
  EXPECT_NE(stat(FileOf("memory", "tasks", "cgroup.procs").c_str(), &info), 0);
}

TEST_F(CgroupTest, IsNotTakenFromThoseInIt) {
  ASSERT_OK(cgroup_->Create({}));
  ASSERT_OK(cgroup_->Create({}));  // empty: ours
  SleeperInside();
  EXPECT_THAT(cgroup_->Create({}), StatusIs(StatusCode::kFailedPrecondition));
}

TEST_F(CgroupTest, ListsProcessesOfTheSubtree) {
  ASSERT_OK(cgroup_->Create({}));
  EXPECT_THAT(cgroup_->Pids(), IsOkAndHolds(IsEmpty()));
  const pid_t child = SleeperInside();
  EXPECT_THAT(cgroup_->Pids(), IsOkAndHolds(ElementsAre(child)));
}

TEST_F(CgroupTest, AChildIsBornInside) {
  if (!v2()) GTEST_SKIP() << "needs cgroup v2";
  ASSERT_OK(cgroup_->Create({}));
  clone_args arguments = {};
  arguments.flags = CLONE_INTO_CGROUP;
  arguments.exit_signal = SIGCHLD;
  arguments.cgroup = static_cast<uint64_t>(cgroup_->birth_fd());
  const auto child =
      static_cast<pid_t>(syscall(SYS_clone3, &arguments, sizeof(arguments)));
  if (child == 0) {
    pause();
    _exit(0);
  }
  ASSERT_GT(child, 0);
  children_.push_back(child);
  EXPECT_THAT(cgroup_->Pids(), IsOkAndHolds(ElementsAre(child)));
}

TEST_F(CgroupTest, FreezesAndThaws) {
  ASSERT_OK(cgroup_->Create({}));
  const pid_t child = ChildInside([] {
    for (;;) getppid();
  });
  EXPECT_THAT(cgroup_->Frozen(), IsOkAndHolds(false));
  ASSERT_OK(cgroup_->Freeze(true));
  EXPECT_THAT(cgroup_->Frozen(), IsOkAndHolds(true));
  const auto used = [this] { return cgroup_->Stats()->cpu.total_ns; };
  const uint64_t before = used();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_LT(used() - before, 5'000'000u);
  ASSERT_OK(cgroup_->Freeze(false));
  EXPECT_THAT(cgroup_->Frozen(), IsOkAndHolds(false));
  EXPECT_TRUE(Eventually([&] { return used() - before > 20'000'000u; }));
  EXPECT_EQ(kill(child, 0), 0);
}

TEST_F(CgroupTest, KillsTheFrozenToo) {
  ASSERT_OK(cgroup_->Create({}));
  const pid_t child = SleeperInside();
  children_.clear();
  ASSERT_OK(cgroup_->Freeze(true));
  ASSERT_OK(cgroup_->Signal(SIGKILL));
  EXPECT_EQ(WTERMSIG(StatusOf(child)), SIGKILL);
}

TEST_F(CgroupTest, KillsAForkBomb) {
  Resources limits;
  limits.pids_limit = 200;
  ASSERT_OK(cgroup_->Create(limits));
  const pid_t bomb = ChildInside([] {
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
      if (fork() == 0) usleep(100);
    }
  });
  children_.clear();
  ASSERT_TRUE(Eventually([&] { return cgroup_->Pids()->size() > 20; }));
  ASSERT_OK(cgroup_->Signal(SIGKILL));
  EXPECT_EQ(WTERMSIG(StatusOf(bomb)), SIGKILL);
  EXPECT_TRUE(Eventually([&] { return cgroup_->Pids()->empty(); }));
}

TEST_F(CgroupTest, SignalsEachProcess) {
  ASSERT_OK(cgroup_->Create({}));
  const pid_t one = SleeperInside();
  const pid_t two = SleeperInside();
  children_.clear();
  ASSERT_OK(cgroup_->Signal(SIGTERM));
  EXPECT_EQ(WTERMSIG(StatusOf(one)), SIGTERM);
  EXPECT_EQ(WTERMSIG(StatusOf(two)), SIGTERM);
}

TEST_F(CgroupTest, CountsWhatIsUsed) {
  Resources limits;
  limits.memory.limit = 256 << 20;
  limits.pids_limit = 9;
  ASSERT_OK(cgroup_->Create(limits));
  ChildInside([] {
    const size_t size = 32 << 20;
    void* const memory =
        mmap(nullptr, size, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED) _exit(1);
    pause();
  });
  EXPECT_TRUE(
      Eventually([&] { return cgroup_->Stats()->memory.rss >= 32 << 20; }));
  ASSERT_OK_AND_ASSIGN(const CgroupStats stats, cgroup_->Stats());
  EXPECT_GT(stats.cpu.total_ns, 0u);
  EXPECT_GE(stats.memory.usage, 32u << 20);
  EXPECT_GE(stats.memory.working_set(), 32u << 20);
  EXPECT_EQ(stats.memory.limit, 256u << 20);
  EXPECT_GT(stats.memory.page_faults, 0u);
  EXPECT_EQ(stats.pids, 1u);
  EXPECT_EQ(stats.pids_limit, 9u);
}

TEST_F(CgroupTest, TellsOfAnOutOfMemoryKill) {
  Resources limits;
  limits.memory.limit = 16 << 20;
  limits.memory.swap = 16 << 20;
  ASSERT_OK(cgroup_->Create(limits));
  ASSERT_OK_AND_ASSIGN(const auto watch, cgroup_->WatchOom());
  EXPECT_THAT(watch->Read(), IsOkAndHolds(0u));
  const pid_t child = ChildInside([] {
    const size_t size = 64 << 20;
    mmap(nullptr, size, PROT_READ | PROT_WRITE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  });
  children_.clear();
  pollfd waiting = {.fd = watch->fd(),
                    .events = static_cast<short>(watch->events()),
                    .revents = 0};
  EXPECT_EQ(poll(&waiting, 1, 10'000), 1);
  EXPECT_EQ(WTERMSIG(StatusOf(child)), SIGKILL);
  EXPECT_THAT(watch->Read(), IsOkAndHolds(1u));
  EXPECT_THAT(watch->Read(), IsOkAndHolds(0u));
  ASSERT_OK_AND_ASSIGN(const auto late, cgroup_->WatchOom());
  EXPECT_THAT(late->Read(), IsOkAndHolds(1u));
  EXPECT_EQ(cgroup_->Stats()->memory.oom_kills, 1u);
  ASSERT_OK(cgroup_->Remove());
  EXPECT_THAT(watch->Read(), StatusIs(StatusCode::kNotFound));
}

TEST_F(CgroupTest, HoldsToDeviceRules) {
  Resources limits = ContainerResources(Linux());
  ASSERT_OK(cgroup_->Create(limits));
  const pid_t child = ChildInside([] {
    const bool null = open("/dev/null", O_RDWR) >= 0;
    const bool mem = open("/dev/mem", O_RDONLY) >= 0;
    _exit(!null ? 1 : mem ? 2 : 0);
  });
  children_.clear();
  EXPECT_EQ(WEXITSTATUS(StatusOf(child)), 0);
}

TEST_F(CgroupTest, RemovesItselfWithWhatIsBelow) {
  ASSERT_OK(cgroup_->Create({}));
  const std::string inner = FileOf("memory", "inner", "inner");
  ASSERT_EQ(mkdir(inner.c_str(), 0755), 0);
  ASSERT_OK(cgroup_->Remove());
  EXPECT_THAT(cgroup_->Stats(), StatusIs(StatusCode::kNotFound));
  EXPECT_OK(cgroup_->Remove());
  EXPECT_THAT(cgroup_->Pids(), IsOkAndHolds(IsEmpty()));
  EXPECT_OK(cgroup_->Signal(SIGKILL));
  EXPECT_THAT(cgroup_->Freeze(true), StatusIs(StatusCode::kNotFound));
}

}  // namespace
}  // namespace berth::oci
