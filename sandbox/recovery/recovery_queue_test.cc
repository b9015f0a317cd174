#include "sandbox/recovery/recovery_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>

#include "base/testing/status_matchers.h"

namespace berth::sandbox {
namespace {

using namespace std::chrono_literals;

class RecoveryQueueTest : public ::testing::Test {
 protected:
  const Context ctx_ = Context::Background("test").WithTimeout(60s);
};

TEST_F(RecoveryQueueTest, TriesUntilItSucceeds) {
  RecoveryQueue queue("test",
                      {.threads = 2, .first_pause = 1ms, .longest_pause = 4ms});
  std::atomic<int> tries = 0, once = 0;
  queue.Add("stubborn", [&](const Context&) {
    return ++tries < 7 ? Unavailable("not yet") : OkStatus();
  });
  queue.Add("easy", [&](const Context&) {
    ++once;
    return OkStatus();
  });
  ASSERT_OK(queue.AwaitDone(ctx_));
  EXPECT_EQ(tries, 7);
  EXPECT_EQ(once, 1);
}

TEST_F(RecoveryQueueTest, OneThatHangsHoldsUpNoOther) {
  RecoveryQueue queue("test", {.threads = 2, .first_pause = 1ms});
  std::atomic<int> done = 0;
  queue.Add("hangs", [](const Context& ctx) {
    Mutex mutex;
    CondVar never;
    MutexLock lock(mutex);
    return ctx.Await(mutex, never, [] { return false; });
  });
  for (int i = 0; i < 100; ++i) {
    queue.Add("easy", [&](const Context&) {
      ++done;
      return OkStatus();
    });
  }
  while (done < 100) sched_yield();
  EXPECT_THAT(queue.AwaitDone(ctx_.WithTimeout(5ms)),
              StatusIs(StatusCode::kDeadlineExceeded));
  queue.Stop();  // wakes it
}

TEST_F(RecoveryQueueTest, NeverMoreAtOnceThanItMay) {
  RecoveryQueue queue("test",
                      {.threads = 3, .first_pause = 1ms, .longest_pause = 1ms});
  std::atomic<int> running = 0, most = 0, tries = 0;
  for (int i = 0; i < 50; ++i) {
    queue.Add("job", [&](const Context&) {
      const int now = ++running;
      int seen = most;
      while (now > seen && !most.compare_exchange_weak(seen, now)) {
      }
      sched_yield();
      --running;
      return ++tries % 3 == 0 ? OkStatus() : Unavailable("again");
    });
  }
  ASSERT_OK(queue.AwaitDone(ctx_));
  EXPECT_LE(most, 3);
  EXPECT_GE(tries, 50);
}

TEST_F(RecoveryQueueTest, AJobMayAddOthers) {
  RecoveryQueue queue("test", {.threads = 1});
  std::atomic<bool> second = false;
  queue.Add("first", [&](const Context&) {
    queue.Add("second", [&](const Context&) {
      second = true;
      return OkStatus();
    });
    return OkStatus();
  });
  while (!second) sched_yield();
  ASSERT_OK(queue.AwaitDone(ctx_));
  // And work that comes when all threads have ended.
  std::atomic<bool> late = false;
  queue.Add("late", [&](const Context&) {
    late = true;
    return OkStatus();
  });
  ASSERT_OK(queue.AwaitDone(ctx_));
  EXPECT_TRUE(late);
}

TEST_F(RecoveryQueueTest, StopDoesNotWaitForAPause) {
  RecoveryQueue queue("test", {.threads = 2, .first_pause = 1h});
  std::atomic<int> tries = 0;
  queue.Add("stubborn", [&](const Context&) {
    ++tries;
    return Unavailable("never");
  });
  while (tries == 0) sched_yield();
  queue.Stop();
  EXPECT_EQ(tries, 1);
}

}  // namespace
}  // namespace berth::sandbox
