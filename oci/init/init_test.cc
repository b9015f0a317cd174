// The small units of oci/init: ids, privileges, program, handshake.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "oci/init/handshake.h"
#include "oci/init/id_map.h"
#include "oci/init/privileges.h"
#include "oci/init/program.h"

namespace berth::oci {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(IdMapTest, TextAndLookup) {
  const std::vector<IdMapping> map = {{0, 1000, 10}, {10, 5000, 1}};
  EXPECT_EQ(IdMapText(map), "0 1000 10\n10 5000 1\n");
  EXPECT_EQ(ToHostId(map, 9), 1009u);
  EXPECT_EQ(ToHostId(map, 10), 5000u);
  EXPECT_EQ(ToHostId(map, 11), std::nullopt);
  EXPECT_EQ(ToHostId({}, 7), 7u);
}

TEST(CapabilityTest, Names) {
  EXPECT_EQ(CapabilityNumber("CAP_CHOWN"), 0);
  EXPECT_EQ(CapabilityNumber("cap_sys_admin"), 21);
  EXPECT_EQ(CapabilityNumber("CAP_CHECKPOINT_RESTORE"), 40);
  EXPECT_EQ(CapabilityNumber("CHOWN"), std::nullopt);
  EXPECT_EQ(CapabilityNumber("CAP_NONSENSE"), std::nullopt);
  EXPECT_THAT(KernelCapabilities(), Contains("CAP_NET_RAW"));
}

// CVE-2022-24769: nothing becomes inheritable by itself.
TEST(CapabilityTest, NothingIsInheritableUnasked) {
  Capabilities wanted;
  wanted.bounding = wanted.effective =
      wanted.permitted = {"CAP_CHOWN", "CAP_KILL"};
  wanted.ambient = {"CAP_KILL"};
  const CapabilitySets sets = PlanCapabilities(wanted, ~uint64_t{0});
  EXPECT_EQ(sets.permitted, 0x21u);
  EXPECT_EQ(sets.inheritable, 0u);
  EXPECT_EQ(sets.ambient, 0u);
}

TEST(CapabilityTest, WhatIsNotThereCannotBeGiven) {
  Capabilities wanted;
  wanted.bounding = wanted.effective =
      wanted.permitted = {"CAP_CHOWN", "CAP_KILL"};
  EXPECT_EQ(PlanCapabilities(wanted, 0x1),
            (CapabilitySets{0x1, 0x1, 0, 0x1, 0}));
}

TEST(CapabilityTest, WhatCannotBeGivenIsTold) {
  Capabilities wanted;
  wanted.bounding = wanted.permitted = {"CAP_NONSENSE", "CAP_CHOWN"};
  wanted.inheritable = {"CAP_CHOWN"};
  wanted.ambient = {"CAP_CHOWN", "CAP_KILL"};
  EXPECT_THAT(CapabilityWarnings(wanted),
              ElementsAre(HasSubstr("CAP_NONSENSE"), HasSubstr("CAP_KILL")));
}

TEST(RlimitTest, Names) {
  EXPECT_EQ(RlimitNumber("RLIMIT_NOFILE"), 7);
  EXPECT_EQ(RlimitNumber("NOFILE"), std::nullopt);
}

TEST(RlimitTest, UnknownTypeIsRefused) {
  std::vector<std::string> warnings;
  EXPECT_THAT(SetRlimits(0, {{"RLIMIT_NONSENSE", 1, 1}}, warnings),
              StatusIs(StatusCode::kInvalidArgument));
}

class ProgramTest : public ::testing::Test {
 protected:
  ProgramTest() : root_(*RootedPath::Open(dir_.path())) {
    dir_.MakeDirectory("etc");
    dir_.MakeDirectory("bin");
  }
  TempDir dir_;
  RootedPath root_;
};

TEST_F(ProgramTest, EnvironmentKeepsTheLastAndAddsHome) {
  dir_.Write("etc/passwd", "user:x:7:7::/home/user:/bin/sh\n");
  ProcessSpec process;
  process.env = {"A=1", "B=2", "A=3", "HOME="};
  process.user.uid = 7;
  EXPECT_THAT(FinalEnvironment(process, root_),
              ElementsAre("B=2", "A=3", "HOME=/home/user"));
  process.user.uid = 8;
  EXPECT_THAT(FinalEnvironment(process, root_), Contains("HOME=/"));
  process.env = {"HOME=/x"};
  EXPECT_THAT(FinalEnvironment(process, root_), ElementsAre("HOME=/x"));
}

TEST_F(ProgramTest, ALongEnvironmentIsMadeInLinearTime) {
  ProcessSpec process;
  process.env = {"HOME=/x"};
  for (int i = 0; i < 100'000; ++i) {  // a quadratic merge takes minutes
    process.env.push_back("N" + std::to_string(i % 50'000) + "=" +
                          std::to_string(i));
  }
  const std::vector<std::string> env = FinalEnvironment(process, root_);
  EXPECT_EQ(env.size(), 50'001u);
  EXPECT_EQ(env.back(), "N49999=99999");
}

TEST_F(ProgramTest, PasswdThatIsAFifoOrALinkOutsideIsPassedOver) {
  ProcessSpec process;
  ASSERT_EQ(mkfifo(dir_.Path("etc/passwd").c_str(), 0600), 0);
  EXPECT_THAT(FinalEnvironment(process, root_), ElementsAre("HOME=/"));
  unlink(dir_.Path("etc/passwd").c_str());
  ASSERT_EQ(symlink("/../../../etc/passwd", dir_.Path("etc/passwd").c_str()),
            0);
  EXPECT_THAT(FinalEnvironment(process, root_), ElementsAre("HOME=/"));
}

TEST_F(ProgramTest, FindsInPathAndSaysWhyNot) {
  dir_.Write("bin/tool", "#!/bin/sh\n");
  const std::vector<std::string> env = {"PATH=/nowhere:" + dir_.Path("bin")};
  EXPECT_THAT(
      FindProgram("tool", env),
      StatusIs(StatusCode::kPermissionDenied, HasSubstr("permission denied")));
  chmod(dir_.Path("bin/tool").c_str(), 0755);
  EXPECT_THAT(FindProgram("tool", env), IsOkAndHolds(dir_.Path("bin/tool")));
  EXPECT_THAT(FindProgram("other", env),
              StatusIs(StatusCode::kNotFound,
                       HasSubstr("executable file not found in $PATH")));
  EXPECT_THAT(
      FindProgram("/no/such", env),
      StatusIs(StatusCode::kNotFound, HasSubstr("no such file or directory")));
  EXPECT_THAT(FindProgram(dir_.Path("bin"), env),
              StatusIs(StatusCode::kPermissionDenied));
  EXPECT_THAT(FindProgram("", env), StatusIs(StatusCode::kNotFound));
}

// CVE-2024-21626.
TEST_F(ProgramTest, DirectoryBehindAnFdIsRefused) {
  const RootedPath slash = *RootedPath::Open("/");
  const UniqueFd leaked(open("/usr", O_PATH | O_DIRECTORY | O_CLOEXEC));
  EXPECT_FALSE(
      EnterDirectory("/proc/self/fd/" + std::to_string(leaked.get()), slash)
          .ok());
}

TEST(HandshakeTest, CarriesTextFdAndErrors) {
  signal(SIGPIPE, SIG_IGN);
  ASSERT_OK_AND_ASSIGN(auto ends, Handshake::Pair());
  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  ASSERT_OK(ends.second.Send(MessageType::kConsole, "text", null.get()));
  ASSERT_OK(ends.second.SendError(NotFound("no program")));
  ASSERT_OK_AND_ASSIGN(const HandshakeMessage first, ends.first.Receive());
  EXPECT_EQ(first.type, MessageType::kConsole);
  EXPECT_EQ(first.text, "text");
  EXPECT_TRUE(first.fd.valid());
  ASSERT_OK_AND_ASSIGN(const HandshakeMessage second, ends.first.Receive());
  EXPECT_EQ(second.type, MessageType::kError);
  EXPECT_THAT(DecodeStatus(second.text),
              StatusIs(StatusCode::kNotFound, "no program"));
  ASSERT_OK(ends.first.Send(MessageType::kGo));
  EXPECT_OK(ends.second.WaitForGo());
  ends.second.Close();
  EXPECT_EQ(ends.first.Receive()->type, MessageType::kEnd);
  EXPECT_FALSE(ends.first.Send(MessageType::kGo).ok());
}

TEST(HandshakeTest, ALongErrorIsCutNotLost) {
  ASSERT_OK_AND_ASSIGN(auto ends, Handshake::Pair());
  ASSERT_OK(ends.second.SendError(Internal(std::string(100000, 'x'))));
  EXPECT_THAT(DecodeStatus(ends.first.Receive()->text),
              StatusIs(StatusCode::kInternal, HasSubstr("xxx")));
  EXPECT_THAT(DecodeStatus("nonsense"), Not(IsOk()));
}

}  // namespace
}  // namespace berth::oci
