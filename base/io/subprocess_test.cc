#include "base/io/subprocess.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <thread>

#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

using ::testing::HasSubstr;

Command Shell(const std::string& script) {
  Command command;
  command.program = "/bin/sh";
  command.args = {"-c", script};
  command.env = {"PATH=/usr/bin:/bin"};
  return command;
}

StatusOr<CommandResult> RunHere(const Command& command) {
  return RunCommand(Context::Background(), command);
}

TEST(RunCommandTest, FeedsAndCaptures) {
  Command command = Shell("cat; echo \"$A\" >&2; pwd; exit 3");
  command.input = std::string(300000, 'x') + "\n";
  command.env.push_back("A=hello");
  command.directory = "/usr";
  ASSERT_OK_AND_ASSIGN(const CommandResult result, RunHere(command));
  EXPECT_EQ(result.output, command.input + "/usr\n");
  EXPECT_EQ(result.errors, "hello\n");
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_FALSE(result.ok());
  EXPECT_EQ(result.Describe(), "exited with 3");
}

TEST(RunCommandTest, ReportsASignal) {
  ASSERT_OK_AND_ASSIGN(const CommandResult result,
                       RunHere(Shell("kill -TERM $$")));
  EXPECT_EQ(result.exit_code, 128 + SIGTERM);
  EXPECT_EQ(result.Describe(), "was killed by signal 15 (Terminated)");
}

TEST(RunCommandTest, NamesAProgramThatCannotRun) {
  Command command;
  command.program = "/none/such";
  EXPECT_THAT(RunHere(command),
              StatusIs(StatusCode::kNotFound, HasSubstr("\"/none/such\"")));
  command.program = "/etc/passwd";
  EXPECT_THAT(RunHere(command), StatusIs(StatusCode::kPermissionDenied));
}

TEST(RunCommandTest, KillsTheWholeGroupWhenTimeIsUp) {
  TempDir dir;
  Command command =
      Shell("sleep 600 & echo $! > " + dir.Path("pid") + "; sleep 600");
  command.time_limit = std::chrono::milliseconds(300);
  EXPECT_THAT(RunHere(command), StatusIs(StatusCode::kDeadlineExceeded));
  const pid_t grandchild = std::stoi(dir.Read("pid"));
  // Killed, though perhaps not yet reaped by init.
  bool gone = false;
  for (int i = 0; i < 500 && !gone; ++i) {
    UniqueFd stat(
        open(("/proc/" + std::to_string(grandchild) + "/stat").c_str(),
             O_RDONLY | O_CLOEXEC));
    char text[512] = {};
    gone = !stat.valid() || read(stat.get(), text, sizeof(text) - 1) <= 0 ||
           std::string(text).find(") Z") != std::string::npos;
    if (!gone) usleep(10000);
  }
  EXPECT_TRUE(gone);
}

TEST(RunCommandTest, ObeysTheContext) {
  const Context ctx = Context::Background().WithCancel();
  EXPECT_THAT(RunCommand(ctx.WithTimeout(std::chrono::milliseconds(50)),
                         Shell("sleep 600")),
              StatusIs(StatusCode::kDeadlineExceeded));
  std::thread canceller([&] { ctx.Cancel(); });
  EXPECT_THAT(RunCommand(ctx, Shell("sleep 600")),
              StatusIs(StatusCode::kCancelled));
  canceller.join();
}

TEST(RunCommandTest, BoundsWhatIsPrinted) {
  Command endless = Shell("exec cat /dev/zero");
  endless.max_output = 100000;
  EXPECT_THAT(RunHere(endless), StatusIs(StatusCode::kResourceExhausted));

  Command noisy = Shell("head -c 1000000 /dev/zero >&2; echo done");
  noisy.max_errors = 1000;
  ASSERT_OK_AND_ASSIGN(const CommandResult result, RunHere(noisy));
  EXPECT_EQ(result.errors.size(), 1000u);
  EXPECT_EQ(result.output, "done\n");

  Command endless_errors = Shell("exec cat /dev/zero >&2");
  endless_errors.time_limit = std::chrono::milliseconds(200);
  EXPECT_THAT(RunHere(endless_errors), StatusIs(StatusCode::kDeadlineExceeded));
}

TEST(RunCommandTest, DoesNotWaitForWhatStaysInTheBackground) {
  TempDir dir;
  // The background process keeps standard output open until we let it go.
  ASSERT_EQ(mkfifo(dir.Path("gate").c_str(), 0600), 0);
  ASSERT_OK_AND_ASSIGN(
      const CommandResult result,
      RunHere(Shell("(read x < " + dir.Path("gate") + ") & echo started")));
  EXPECT_EQ(result.output, "started\n");
  UniqueFd gate(open(dir.Path("gate").c_str(), O_WRONLY | O_CLOEXEC));
  EXPECT_TRUE(gate.valid());
}

TEST(RunCommandTest, PassesOnOnlyTheDescriptorsAskedFor) {
  TempDir dir;
  dir.Write("one", "first");
  dir.Write("two", "second");
  UniqueFd one(open(dir.Path("one").c_str(), O_RDONLY | O_CLOEXEC));
  UniqueFd two(open(dir.Path("two").c_str(), O_RDONLY | O_CLOEXEC));
  UniqueFd hidden(open("/dev/null", O_RDONLY | O_CLOEXEC));
  UniqueFd careless(open("/dev/null", O_RDONLY));  // as some libraries do
  Command command = Shell("cat <&3; cat <&4; echo; ls /proc/self/fd | wc -l");
  // Each wants a number that the other one may hold now.
  command.inherit = {{one.get(), 4}, {two.get(), 3}};
  ASSERT_OK_AND_ASSIGN(const CommandResult result, RunHere(command));
  // 0 to 4 and the one that ls reads the directory by.
  EXPECT_EQ(result.output, "secondfirst\n6\n");
  // Also those between the numbers that are wanted.
  Command sparse = Shell("cat <&9; ls /proc/self/fd | wc -l");
  sparse.inherit = {{one.get(), 9}};
  ASSERT_EQ(lseek(one.get(), 0, SEEK_SET), 0);
  ASSERT_OK_AND_ASSIGN(const CommandResult few, RunHere(sparse));
  EXPECT_EQ(few.output, "first5\n");
}

TEST(RunCommandTest, GivesTheProgramDefaultSignals) {
  signal(SIGPIPE, SIG_IGN);
  ASSERT_OK_AND_ASSIGN(const CommandResult result,
                       RunHere(Shell("grep SigIgn /proc/self/status")));
  signal(SIGPIPE, SIG_DFL);
  ASSERT_THAT(result.output, HasSubstr("SigIgn:\t"));
  const uint64_t ignored = std::stoull(result.output.substr(8), nullptr, 16);
  EXPECT_EQ(ignored & (1u << (SIGPIPE - 1)), 0u);
}

}  // namespace
}  // namespace berth
