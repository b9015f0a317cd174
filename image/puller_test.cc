#include "image/puller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <thread>

#include "base/testing/status_matchers.h"

namespace berth::image {
namespace {

using std::chrono::seconds;

// Work that waits until it is let go or cancelled.
struct Gate {
  const Context open = Context::Background().WithCancel();
  const Context started = Context::Background().WithCancel();
  std::atomic<int> runs{0};
  std::atomic<int> cancelled{0};

  StatusOr<std::string> Work(const Context& ctx) {
    ++runs;
    started.Cancel();
    pollfd fds[] = {{ctx.cancel_fd(), POLLIN, 0},
                    {open.cancel_fd(), POLLIN, 0}};
    poll(fds, 2, 30'000);
    if (ctx.cancelled()) {
      ++cancelled;
      return Cancelled("pull");
    }
    return std::string("id");
  }
};

void Await(const Context& event) {
  pollfd fd = {event.cancel_fd(), POLLIN, 0};
  ASSERT_EQ(poll(&fd, 1, 30'000), 1);
}

TEST(PullerTest, ConcurrentPullsOfOneImageAreOne) {
  Gate gate;
  Puller puller;
  const auto work = [&](const Context& ctx, const ProgressFunction& report) {
    StatusOr<std::string> id = gate.Work(ctx);
    report(Progress());
    return id;
  };
  std::atomic<int> told{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 5; ++i) {
    threads.emplace_back([&] {
      EXPECT_EQ(*puller.Pull(Context::Background(), "key", work,
                             [&](const Progress&) { ++told; }),
                "id");
    });
  }
  Await(gate.started);
  // All five have to be in before it ends; those that are not yet start anew.
  std::this_thread::yield();
  gate.open.Cancel();
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(told.load(), 1);
  EXPECT_GE(gate.runs.load(), 1);
  EXPECT_LE(gate.runs.load(), 5);
  EXPECT_EQ(gate.cancelled.load(), 0);
}

TEST(PullerTest, OneWhoLeavesDoesNotEndItForOthers) {
  Gate gate;
  Puller puller;
  const auto work = [&](const Context& ctx, const ProgressFunction&) {
    return gate.Work(ctx);
  };
  const Context first = Context::Background().WithCancel();
  std::thread leaver([&] {
    EXPECT_THAT(puller.Pull(first, "key", work, nullptr),
                StatusIs(StatusCode::kCancelled));
  });
  Await(gate.started);
  std::thread stayer([&] {
    // Joins, or starts its own if the other has left first.
    EXPECT_EQ(*puller.Pull(Context::Background(), "key", work, nullptr), "id");
  });
  first.Cancel();
  leaver.join();
  gate.open.Cancel();
  stayer.join();
}

TEST(PullerTest, EndsWhenNobodyWaits) {
  Gate gate;
  {
    Puller puller;
    const Context ctx =
        Context::Background().WithTimeout(std::chrono::milliseconds(20));
    EXPECT_THAT(puller.Pull(
                    ctx, "key",
                    [&](const Context& work, const ProgressFunction&) {
                      return gate.Work(work);
                    },
                    nullptr),
                StatusIs(StatusCode::kDeadlineExceeded));
  }
  EXPECT_EQ(gate.cancelled.load(), gate.runs.load());
}

TEST(PullerTest, PullsUnderOtherKeysAreOthers) {
  Puller puller;
  const auto work = [](const char* id) {
    return [id](const Context&, const ProgressFunction&) {
      return StatusOr<std::string>(id);
    };
  };
  EXPECT_EQ(*puller.Pull(Context::Background(), "a", work("1"), nullptr), "1");
  EXPECT_EQ(*puller.Pull(Context::Background(), "b", work("2"), nullptr), "2");
  EXPECT_EQ(*puller.Pull(Context::Background(), "a", work("3"), nullptr), "3");
}

}  // namespace
}  // namespace berth::image
