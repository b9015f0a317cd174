#include "oci/init/entry.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "base/sys/process.h"
#include "base/testing/status_matchers.h"

namespace berth::oci {
namespace {

using ::testing::HasSubstr;

// What a process outside does; the test is the runtime, and gets both.
template <typename Outside>
Entry::Outcome RunOutside(Outside outside) {
  auto entry = Entry::Make();
  auto process = CloneProcess({});
  if (!entry.ok() || !process.ok()) abort();
  if (process->pid == 0) outside(*entry);
  const auto outcome = entry->Await(process->pidfd.get());
  EXPECT_OK(outcome.status());
  waitpid(process->pid, nullptr, 0);
  return outcome.ok() ? *outcome : Entry::Outcome();
}

TEST(EntryTest, TellsThePidOfTheCopy) {
  const Entry::Outcome outcome = RunOutside([](Entry& entry) {
    const Status crossed = entry.Cross(false);
    if (!crossed.ok()) entry.Fail(crossed);
    while (true) pause();
  });
  EXPECT_OK(outcome.status);
  ASSERT_GT(outcome.pid, 0);
  EXPECT_EQ(ReadProcessStat(outcome.pid)->parent, getpid());
  kill(outcome.pid, SIGKILL);
  EXPECT_EQ(waitpid(outcome.pid, nullptr, 0), outcome.pid);
}

TEST(EntryTest, WaitsForExecve) {
  const Entry::Outcome outcome = RunOutside([](Entry& entry) {
    if (entry.Cross(true).ok()) execl("/bin/false", "false", nullptr);
    _exit(99);
  });
  EXPECT_OK(outcome.status);
  int status = 0;
  ASSERT_EQ(waitpid(outcome.pid, &status, 0), outcome.pid);
  EXPECT_EQ(ExitCodeOf(status), 1);
}

TEST(EntryTest, TellsWhyTheCopyFailed) {
  const Entry::Outcome outcome = RunOutside([](Entry& entry) {
    if (!entry.Cross(true).ok()) _exit(99);
    entry.Fail(NotFound("no such program"));
  });
  EXPECT_THAT(outcome.status,
              StatusIs(StatusCode::kNotFound, HasSubstr("no such program")));
  int status = 0;
  ASSERT_EQ(waitpid(outcome.pid, &status, 0), outcome.pid);
  EXPECT_EQ(ExitCodeOf(status), 1);
}

TEST(EntryTest, TellsWhyThereIsNoCopy) {
  const Entry::Outcome outcome = RunOutside(
      [](Entry& entry) { entry.Fail(ResourceExhausted("no pids left")); });
  EXPECT_EQ(outcome.pid, 0);
  EXPECT_THAT(outcome.status, StatusIs(StatusCode::kResourceExhausted,
                                       HasSubstr("no pids left")));
}

TEST(EntryTest, DeathIsAnError) {
  const Entry::Outcome outcome = RunOutside([](Entry&) { _exit(0); });
  EXPECT_EQ(outcome.pid, 0);
  EXPECT_THAT(outcome.status, StatusIs(StatusCode::kInternal));
}

TEST(EntryTest, LongErrorIsCut) {
  const Entry::Outcome outcome = RunOutside(
      [](Entry& entry) { entry.Fail(Internal(std::string(100000, 'x'))); });
  EXPECT_THAT(outcome.status, StatusIs(StatusCode::kInternal));
  EXPECT_LT(Message(outcome.status).size(), 5000u);
}

}  // namespace
}  // namespace berth::oci
