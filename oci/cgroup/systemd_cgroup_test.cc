// A scope with a systemd that is a socket, and a cgroup of ordinary files.
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "oci/cgroup/cgroup.h"
#include "oci/systemd/testing/fake_systemd.h"

namespace berth::oci {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Answer = FakeSystemd::Answer;

constexpr char kScope[] = "tree/a.slice/p-n.scope/";

// The one number of "PIDs", in a call of StartTransientUnit.
std::string PidIn(const std::string& call) {
  const size_t begin = call.find("au", call.find("PIDs")) + 3;
  const size_t at = (begin + 3) / 4 * 4 + 4;
  uint32_t pid = 0;
  for (size_t i = 4; i-- > 0;)
    pid = pid << 8 | static_cast<uint8_t>(call[at + i]);
  return std::to_string(pid);
}

class SystemdCgroupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_.MakeDirectory("tree/a.slice/p-n.scope");
    Put("cgroup.procs", "");
    Put("cgroup.controllers", "cpu io memory pids");
    Put("cgroup.freeze", "0");
    Put("memory.max", "max");
    Put("pids.max", "0");
    Put("cpu.max", "max 50000");
    host_.version = CgroupVersion::kV2;
    host_.hierarchies = {{.mount_point = dir_.Path("tree"),
                          .controllers = {"cpu", "io", "memory", "pids"},
                          .v2 = true,
                          .own_path = "/"}};
  }

  void Put(const std::string& file, const std::string& text) {
    dir_.Write(kScope + file, text);
  }
  std::string Get(const std::string& file) { return dir_.Read(kScope + file); }

  // `odd` is what it answers to `member`.
  void Begin(const std::string& member = "", const Answer& odd = {}) {
    fake_ = std::make_unique<FakeSystemd>(
        dir_.Path("bus"), [=, this](const std::string& called) {
          if (called == "StartTransientUnit" && moves_) {
            Put("cgroup.procs", PidIn(fake_->body(called)) + "\n");
          }
          return called == member ? odd : Answer();
        });
    ScopeOptions options;
    options.systemd = {
        .bus = dir_.Path("bus"),
        .direct = dir_.Path("direct"),
        .limit = std::chrono::milliseconds(odd.hangs ? 50 : 20000)};
    cgroup_ = OpenScope(host_, "/a.slice/p-n.scope", options).value();
  }

  // All that the kernel keeps in a directory; ordinary files stay.
  void EmptyDirectory() {
    for (const char* const file :
         {"cgroup.procs", "cgroup.controllers", "cgroup.freeze", "memory.max",
          "pids.max", "cpu.max"}) {
      unlink(dir_.Path(kScope + std::string(file)).c_str());
    }
  }

  static bool NoChildIsLeft() {
    return waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD;
  }

  TempDir dir_;
  CgroupHost host_;
  bool moves_ = true;  // systemd puts the first process where it should be
  std::unique_ptr<FakeSystemd> fake_;
  std::unique_ptr<Cgroup> cgroup_;
};

TEST_F(SystemdCgroupTest, IsMadeWithAPlaceHolderUntilSomebodyIsIn) {
  Begin();
  Resources limits;
  limits.memory.limit = 4096000;
  ASSERT_OK(cgroup_->Create(limits));
  EXPECT_THAT(fake_->calls(), Contains("StartTransientUnit p-n.scope fail"));
  const std::string call = fake_->body("StartTransientUnit");
  for (const char* const said :
       {"Slice", "a.slice", "Delegate", "CollectMode", "MemoryMax"}) {
    EXPECT_THAT(call, HasSubstr(said));
  }
  EXPECT_EQ(Get("memory.max"), "4096000");
  const pid_t holder = static_cast<pid_t>(std::stol(PidIn(call)));
  EXPECT_EQ(kill(holder, 0), 0);
  cgroup_->Settle();
  EXPECT_TRUE(NoChildIsLeft());
}

TEST_F(SystemdCgroupTest, AHangingSystemdLeavesNothingBehind) {
  Begin("StartTransientUnit", {.hangs = true});
  EXPECT_THAT(cgroup_->Create({}),
              StatusIs(StatusCode::kDeadlineExceeded, HasSubstr("systemd")));
  EXPECT_TRUE(NoChildIsLeft());
}

TEST_F(SystemdCgroupTest, ARefusalIsPassedOn) {
  Begin("StartTransientUnit",
        {.error = "org.freedesktop.DBus.Error.InvalidArgs"});
  EXPECT_THAT(cgroup_->Create({}), StatusIs(StatusCode::kFailedPrecondition,
                                            HasSubstr("InvalidArgs")));
  EXPECT_TRUE(NoChildIsLeft());
}

TEST_F(SystemdCgroupTest, DoesWithoutWhatAnOldSystemdDoesNotKnow) {
  int starts = 0;
  Put("memory.oom.group", "0");
  fake_ = std::make_unique<FakeSystemd>(
      dir_.Path("bus"), [&, this](const std::string& called) {
        if (called != "StartTransientUnit") return Answer();
        const std::string call = fake_->body(called);
        Put("cgroup.procs", PidIn(call) + "\n");
        ++starts;
        const bool known = call.find("OOMPolicy") == std::string::npos;
        return known ? Answer()
                     : Answer{.error = "org.freedesktop.DBus.Error.OOMPolicy"};
      });
  ScopeOptions options;
  options.systemd.bus = dir_.Path("bus");
  cgroup_ = OpenScope(host_, "/a.slice/p-n.scope", options).value();
  Resources limits;
  limits.unified = {{"memory.oom.group", "1"}};
  EXPECT_OK(cgroup_->Create(limits));
  EXPECT_EQ(starts, 2);
  EXPECT_EQ(Get("memory.oom.group"), "1");
}

TEST_F(SystemdCgroupTest, SeesThatTheScopeIsElsewhere) {
  moves_ = false;
  Begin();
  EmptyDirectory();
  EXPECT_THAT(cgroup_->Create({}), StatusIs(StatusCode::kFailedPrecondition,
                                            HasSubstr("p-n.scope")));
  EXPECT_THAT(fake_->calls(), Contains("StopUnit p-n.scope replace"));
  EXPECT_TRUE(NoChildIsLeft());
}

TEST_F(SystemdCgroupTest, LimitsThatCannotBeSaidReachNobody) {
  Begin();
  Resources limits;
  limits.cpu.realtime_runtime = 5;
  EXPECT_THAT(cgroup_->Create(limits), Not(IsOk()));
  EXPECT_THAT(fake_->calls(), Not(Contains(HasSubstr("Unit"))));
}

TEST_F(SystemdCgroupTest, AnUpdateReachesTheKernelAndSystemd) {
  Begin();
  Resources limits;
  limits.pids_limit = 9;
  EXPECT_OK(cgroup_->Update(limits));
  EXPECT_EQ(Get("pids.max"), "9");
  EXPECT_THAT(fake_->body("SetUnitProperties"), HasSubstr("TasksMax"));
}

TEST_F(SystemdCgroupTest, AQuotaAloneIsOneOfThePeriodInForce) {
  Begin();
  Resources limits;
  limits.cpu.quota = 25000;
  EXPECT_OK(cgroup_->Update(limits));
  EXPECT_EQ(Get("cpu.max"), "25000 50000");
  EXPECT_THAT(fake_->body("SetUnitProperties"),
              HasSubstr("CPUQuotaPeriodUSec"));
}

TEST_F(SystemdCgroupTest, SystemdIsNotToldWhatTheKernelRefuses) {
  Begin();
  unlink(dir_.Path(kScope + std::string("pids.max")).c_str());
  Resources limits;
  limits.pids_limit = 9;
  EXPECT_THAT(cgroup_->Update(limits), Not(IsOk()));
  EXPECT_THAT(fake_->calls(), Not(Contains(HasSubstr("SetUnitProperties"))));
}

TEST_F(SystemdCgroupTest, RemovesTheUnitThoughItsDirectoryIsGone) {
  Begin();
  EmptyDirectory();
  EXPECT_OK(cgroup_->Remove());
  EXPECT_NE(access(dir_.Path(kScope).c_str(), F_OK), 0);
  EXPECT_THAT(fake_->calls(), Contains("StopUnit p-n.scope replace"));
  EXPECT_OK(cgroup_->Remove());
}

TEST_F(SystemdCgroupTest, AUnitThatIsGoneIsRemoved) {
  Begin("StopUnit", {.error = "org.freedesktop.systemd1.NoSuchUnit"});
  EmptyDirectory();
  EXPECT_OK(cgroup_->Remove());
}

}  // namespace
}  // namespace berth::oci
