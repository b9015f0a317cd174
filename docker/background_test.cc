#include "docker/background.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>

#include "base/context.h"
#include "base/mutex.h"

namespace berth::docker {
namespace {

void AwaitEnd(const Context& ctx) {
  Mutex mutex;
  CondVar never;
  MutexLock lock(mutex);
  (void)ctx.Await(mutex, never, [] { return false; });
}

// In a child whose user may have no more threads, and then may again.
// First, as long as this process has one thread (ThreadSanitizer).
TEST(BackgroundTest, DoesItsWorkWhenThereAreThreadsAgain) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to change its user id";
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto run = [] {
      std::atomic<int> begun = 0;
      Background background(20);
      rlimit limit;
      if (getrlimit(RLIMIT_NPROC, &limit) != 0) return 2;
      const rlimit none = {0, limit.rlim_max};
      if (setrlimit(RLIMIT_NPROC, &none) != 0) return 3;
      if (setresuid(54323, 54323, 0) != 0) return 4;
      for (int i = 0; i < 5; ++i) {
        background.Run([&](const Context& ctx) {
          ++begun;
          AwaitEnd(ctx);
        });
      }
      if (begun != 0) return 5;
      if (setresuid(0, 0, 0) != 0) return 6;
      if (setrlimit(RLIMIT_NPROC, &limit) != 0) return 7;
      // Nothing calls Run any more.
      while (begun < 5) usleep(1000);
      return 0;
    };
    _exit(run());
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(BackgroundTest, EndsWorkAndWhatWaitsInLine) {
  std::atomic<int> done = 0;
  {
    Background background(3);
    for (int i = 0; i < 10; ++i) {
      background.Run([&](const Context& ctx) {
        AwaitEnd(ctx);
        ++done;
      });
    }
  }
  EXPECT_EQ(done, 10);
}

TEST(BackgroundTest, RunsEachPieceOnAThreadOfItsOwn) {
  std::atomic<int> begun = 0;
  Background background(20);
  for (int i = 0; i < 20; ++i) {
    background.Run([&](const Context& ctx) {
      ++begun;
      AwaitEnd(ctx);
    });
  }
  while (begun < 20) usleep(100);
}

}  // namespace
}  // namespace berth::docker
