#include "base/thread.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <string>

#include "base/testing/status_matchers.h"

namespace berth {
namespace {

TEST(ThreadTest, RunsUnderItsNameAndIsJoined) {
  std::string name(16, '\0');
  {
    const StatusOr<Thread> thread = StartThread("a-name-that-is-too-long", [&] {
      pthread_getname_np(pthread_self(), name.data(), name.size());
    });
    ASSERT_OK(thread.status());
  }
  EXPECT_STREQ(name.c_str(), "a-name-that-is-");
}

TEST(ThreadTest, AnExceptionEndsTheThreadAlone) {
  StatusOr<Thread> thread =
      StartThread("thrower", [] { throw std::runtime_error("on purpose"); });
  ASSERT_OK(thread.status());
  thread->Join();
  EXPECT_FALSE(thread->joinable());
  StatusOr<Thread> other = StartThread("int", [] { throw 3; });
  ASSERT_OK(other.status());
}

TEST(ThreadTest, MovesAndJoinsWhatItHeld) {
  std::atomic<int> ended = 0;
  Thread held;
  for (int i = 0; i < 3; ++i) {
    StatusOr<Thread> next = StartThread("next", [&] { ++ended; });
    ASSERT_OK(next.status());
    held = *std::move(next);
    EXPECT_GE(ended, i);
  }
  held.Join();
  EXPECT_EQ(ended, 3);
}

// In a child, under a user id whose number of processes is limited to none.
TEST(ThreadTest, NoThreadIsAnError) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to change its user id";
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const rlimit none = {0, 0};
    if (setrlimit(RLIMIT_NPROC, &none) != 0 || setuid(54321) != 0) _exit(2);
    bool ran = false;
    const StatusOr<Thread> thread = StartThread("none", [&] { ran = true; });
    _exit(!ran && thread.status().code() == StatusCode::kResourceExhausted ? 0
                                                                           : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace berth
