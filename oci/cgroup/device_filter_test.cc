#include "oci/cgroup/device_filter.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <vector>

#include "base/sys/file.h"
#include "base/testing/status_matchers.h"
#include "base/unique_fd.h"
#include "oci/cgroup/cgroup_host.h"

namespace berth::oci {
namespace {

using ::testing::ElementsAre;

DeviceRule Rule(bool allow, char type, int64_t major, int64_t minor,
                const std::string& access = "rwm") {
  return {.allow = allow,
          .type = type,
          .major = major,
          .minor = minor,
          .access = access};
}

// "+" allows, "-" denies.
std::vector<std::string> Shown(const std::vector<DeviceRule>& rules) {
  const auto lines = DeviceLines(rules);
  EXPECT_OK(lines);
  std::vector<std::string> shown;
  if (!lines.ok()) return shown;
  for (const DeviceLine& line : *lines) {
    shown.push_back((line.allow ? "+" : "-") + line.line);
  }
  return shown;
}

// Runs the program as the kernel would.
bool Verdict(const std::vector<DeviceRule>& rules, uint32_t type,
             uint32_t major, uint32_t minor, uint32_t access) {
  const std::vector<bpf_insn> program = DeviceProgram(rules);
  const uint32_t context[] = {access << 16 | type, major, minor};
  uint64_t registers[11] = {};
  for (size_t at = 0; at < program.size(); ++at) {
    const bpf_insn& in = program[at];
    uint64_t& target = registers[in.dst_reg];
    const int64_t operand = BPF_SRC(in.code) == BPF_X
                                ? static_cast<int64_t>(registers[in.src_reg])
                                : in.imm;
    switch (in.code & ~BPF_X) {
      case BPF_LDX | BPF_MEM | BPF_W:
        target = context[in.off / 4];
        break;
      case BPF_ALU | BPF_MOV:
        target = static_cast<uint32_t>(operand);
        break;
      case BPF_ALU64 | BPF_MOV:
        target = static_cast<uint64_t>(operand);
        break;
      case BPF_ALU | BPF_AND:
        target = static_cast<uint32_t>(target & static_cast<uint64_t>(operand));
        break;
      case BPF_ALU | BPF_RSH:
        target = static_cast<uint32_t>(target) >> operand;
        break;
      case BPF_JMP | BPF_JNE:
        if (target != static_cast<uint64_t>(operand)) {
          at += static_cast<size_t>(in.off);
        }
        break;
      case BPF_JMP | BPF_JEQ:
        if (target == static_cast<uint64_t>(operand)) {
          at += static_cast<size_t>(in.off);
        }
        break;
      case BPF_JMP | BPF_EXIT:
        return registers[0] == 1;
      default:
        ADD_FAILURE() << "unknown instruction " << int{in.code};
        return false;
    }
  }
  ADD_FAILURE() << "the program runs off its end";
  return false;
}

constexpr uint32_t kBlock = BPF_DEVCG_DEV_BLOCK;
constexpr uint32_t kChar = BPF_DEVCG_DEV_CHAR;
constexpr uint32_t kMknod = BPF_DEVCG_ACC_MKNOD;
constexpr uint32_t kRead = BPF_DEVCG_ACC_READ;
constexpr uint32_t kWrite = BPF_DEVCG_ACC_WRITE;

TEST(ContainerDeviceRulesTest, AddsWhatEveryContainerMayUse) {
  Linux linux;
  linux.resources = Resources();
  linux.resources->devices = {Rule(false, 'a', -1, -1)};
  const std::vector<DeviceRule> rules = ContainerDeviceRules(linux);
  EXPECT_TRUE(Verdict(rules, kChar, 1, 3, kRead | kWrite));
  EXPECT_TRUE(Verdict(rules, kChar, 136, 7, kRead));
  EXPECT_TRUE(Verdict(rules, kBlock, 8, 0, kMknod));
  EXPECT_FALSE(Verdict(rules, kBlock, 8, 0, kRead));
  EXPECT_FALSE(Verdict(rules, kChar, 1, 1, kRead));  // mem
}

TEST(DeviceLinesTest, StartsFromNothingAllowed) {
  EXPECT_THAT(Shown({}), ElementsAre("-a"));
  EXPECT_THAT(Shown({Rule(true, 'c', 1, 3)}), ElementsAre("-a", "+c 1:3 rwm"));
}

TEST(DeviceLinesTest, JoinsRulesForTheSameDevice) {
  EXPECT_THAT(Shown({Rule(true, 'c', 1, 3, "r"), Rule(true, 'b', 8, -1, "m"),
                     Rule(true, 'c', 1, 3, "w")}),
              ElementsAre("-a", "+c 1:3 rw", "+b 8:* m"));
}

TEST(DeviceLinesTest, LaterRulesWin) {
  EXPECT_THAT(Shown({Rule(true, 'c', 1, 3), Rule(false, 'c', 1, 3, "w")}),
              ElementsAre("-a", "+c 1:3 rm"));
  EXPECT_THAT(Shown({Rule(true, 'c', 1, 3), Rule(false, 'c', 1, -1)}),
              ElementsAre("-a"));
  EXPECT_THAT(Shown({Rule(true, 'c', 1, 3), Rule(true, 'a', -1, -1),
                     Rule(false, 'b', 8, 0)}),
              ElementsAre("+a", "-b 8:0 rwm"));
}

TEST(DeviceLinesTest, RefusesWhatV1WouldLetThrough) {
  EXPECT_THAT(DeviceLines({Rule(true, 'c', 1, -1), Rule(false, 'c', 1, 3)}),
              StatusIs(StatusCode::kUnimplemented));
}

TEST(DeviceProgramTest, DeniesWithoutRules) {
  EXPECT_FALSE(Verdict({}, kChar, 1, 3, kRead));
}

TEST(DeviceProgramTest, MatchesTypeNumbersAndAccess) {
  const std::vector<DeviceRule> rules = {Rule(true, 'c', 10, 5, "rw"),
                                         Rule(true, 'b', 8, -1, "r")};
  EXPECT_TRUE(Verdict(rules, kChar, 10, 5, kRead | kWrite));
  EXPECT_FALSE(Verdict(rules, kChar, 10, 5, kRead | kMknod));
  EXPECT_FALSE(Verdict(rules, kChar, 10, 6, kRead));
  EXPECT_FALSE(Verdict(rules, kChar, 11, 5, kRead));
  EXPECT_FALSE(Verdict(rules, kBlock, 10, 5, kRead));
  EXPECT_TRUE(Verdict(rules, kBlock, 8, 99, kRead));
  EXPECT_FALSE(Verdict(rules, kBlock, 8, 99, kRead | kWrite));
}

TEST(DeviceProgramTest, TheLastRuleDecidesForEachAccess) {
  const std::vector<DeviceRule> rules = {Rule(true, 'c', 1, -1),
                                         Rule(false, 'c', 1, 3, "w"),
                                         Rule(true, 'c', 1, 5, "r")};
  EXPECT_TRUE(Verdict(rules, kChar, 1, 3, kRead));
  EXPECT_FALSE(Verdict(rules, kChar, 1, 3, kWrite));
  EXPECT_FALSE(Verdict(rules, kChar, 1, 3, kRead | kWrite));
  // Read by the last rule, write by the first.
  EXPECT_TRUE(Verdict(rules, kChar, 1, 5, kRead | kWrite));
}

TEST(DeviceProgramTest, NothingAfterARuleForAll) {
  EXPECT_TRUE(Verdict({Rule(false, 'b', 8, 0), Rule(true, 'a', -1, -1)}, kBlock,
                      8, 0, kRead));
  EXPECT_FALSE(Verdict({Rule(true, 'a', -1, -1), Rule(false, 'b', 8, 0)},
                       kBlock, 8, 0, kRead));
}

// The verifier takes the program and the kernel obeys it: in a group of the v2
// tree, which a hybrid machine has too.
class AttachTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_OK_AND_ASSIGN(const CgroupHost host, CgroupHost::Detect());
    for (const CgroupHierarchy& hierarchy : host.hierarchies) {
      if (hierarchy.v2) directory_ = hierarchy.mount_point;
    }
    if (directory_.empty()) GTEST_SKIP() << "needs a cgroup2 mount";
    directory_ += "/berth-devices-" + std::to_string(getpid());
    ASSERT_EQ(mkdir(directory_.c_str(), 0755), 0);
    ASSERT_OK_AND_ASSIGN(fd_, OpenFile(directory_, O_RDONLY | O_DIRECTORY));
  }

  void TearDown() override {
    if (!fd_.valid()) return;
    EXPECT_EQ(rmdir(directory_.c_str()), 0);
  }

  // The errno that a process of the group gets; 0 if it may.
  int OpenInside(const char* device, int flags) {
    const pid_t child = fork();
    if (child == 0) {
      const UniqueFd procs(
          openat(fd_.get(), "cgroup.procs", O_WRONLY | O_CLOEXEC));
      if (write(procs.get(), "0", 1) != 1) _exit(200);
      _exit(open(device, flags) >= 0 ? 0 : errno);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
  }

  std::string directory_;
  UniqueFd fd_;
};

TEST_F(AttachTest, DeniesWhatNoRuleAllows) {
  ASSERT_EQ(OpenInside("/dev/zero", O_RDONLY), 0);
  ASSERT_OK(AttachDeviceFilter(fd_.get(),
                               {Rule(false, 'a', -1, -1), Rule(true, 'c', 1, 3),
                                Rule(true, 'c', 1, 5, "r")}));
  EXPECT_EQ(OpenInside("/dev/null", O_RDWR), 0);
  EXPECT_EQ(OpenInside("/dev/zero", O_RDONLY), 0);
  EXPECT_EQ(OpenInside("/dev/zero", O_RDWR), EPERM);
  EXPECT_EQ(OpenInside("/dev/full", O_RDONLY), EPERM);
}

TEST_F(AttachTest, ANewFilterTakesThePlaceOfTheOld) {
  ASSERT_OK(AttachDeviceFilter(fd_.get(), {Rule(false, 'a', -1, -1)}));
  ASSERT_EQ(OpenInside("/dev/null", O_RDWR), EPERM);
  ASSERT_OK(AttachDeviceFilter(fd_.get(), ContainerDeviceRules(Linux())));
  EXPECT_EQ(OpenInside("/dev/null", O_RDWR), 0);
  ASSERT_OK(AttachDeviceFilter(fd_.get(), {Rule(true, 'a', -1, -1)}));
  EXPECT_EQ(OpenInside("/dev/full", O_RDWR), 0);
}

// A process that tries all the time finds none.
TEST_F(AttachTest, ThereIsNoMomentWithoutAFilter) {
  const std::vector<DeviceRule> filters[] = {
      {Rule(false, 'a', -1, -1)},
      {Rule(false, 'a', -1, -1), Rule(true, 'c', 1, 3)}};
  ASSERT_OK(AttachDeviceFilter(fd_.get(), filters[0]));
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const UniqueFd from(ready[0]);
  UniqueFd to(ready[1]);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const UniqueFd procs(
        openat(fd_.get(), "cgroup.procs", O_WRONLY | O_CLOEXEC));
    if (write(procs.get(), "0", 1) != 1) _exit(1);
    if (write(to.get(), "x", 1) != 1) _exit(1);
    while (open("/dev/full", O_RDONLY) < 0 && errno == EPERM) {
    }
    _exit(2);
  }
  to.reset();
  char byte;
  EXPECT_EQ(read(from.get(), &byte, 1), 1) << "it is not in the group";
  Status attached;
  for (int i = 1; i <= 1000 && attached.ok(); ++i) {
    attached = AttachDeviceFilter(fd_.get(), filters[i % 2]);
  }
  EXPECT_OK(attached);
  EXPECT_EQ(waitpid(child, nullptr, WNOHANG), 0) << "it opened the device";
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

}  // namespace
}  // namespace berth::oci
