#include "image/transfer/puller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/testing/status_matchers.h"

namespace berth::image {
namespace {

using std::chrono::seconds;

// Work that waits until it is let go or cancelled.
struct Gate {
  const Context open = Context::Background().WithCancel();
  std::atomic<int> runs{0};
  std::atomic<int> cancelled{0};

  StatusOr<std::string> Work(const Context& ctx) {
    ++runs;
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

// Reports until `told` says that enough have heard of it; false when nobody
// waits any more or half a minute is over.
bool ReportUntil(const Context& ctx, const ProgressFunction& report,
                 const std::function<bool()>& told) {
  const auto end = std::chrono::steady_clock::now() + seconds(30);
  while (!told()) {
    if (ctx.cancelled() || std::chrono::steady_clock::now() > end) return false;
    report(Progress());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

TEST(PullerTest, ConcurrentPullsOfOneImageAreOne) {
  constexpr size_t kPulls = 5;
  Puller puller;
  std::atomic<int> runs{0};
  std::atomic<bool> told[kPulls] = {};
  const auto work =
      [&](const Context& ctx,
          const ProgressFunction& report) -> StatusOr<std::string> {
    ++runs;
    // It ends when all who wait have heard of this one run.
    if (!ReportUntil(ctx, report, [&] {
          return std::all_of(std::begin(told), std::end(told),
                             [](const auto& one) { return one.load(); });
        })) {
      return Unavailable("somebody waits for another run");
    }
    return "run " + std::to_string(runs);
  };
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kPulls; ++i) {
    threads.emplace_back([&, i] {
      EXPECT_THAT(puller.Pull(Context::Background(), "key", work,
                              [&, i](const Progress&) { told[i] = true; }),
                  IsOkAndHolds("run 1"));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(runs.load(), 1);
}

TEST(PullerTest, OneWhoLeavesDoesNotEndItForOthers) {
  Puller puller;
  std::atomic<int> runs{0};
  std::atomic<bool> left{false};
  std::atomic<bool> stays{false};
  const Context first = Context::Background().WithCancel();
  const auto work =
      [&](const Context& ctx,
          const ProgressFunction& report) -> StatusOr<std::string> {
    ++runs;
    if (!ReportUntil(ctx, report, [&] { return stays && left; })) {
      return Cancelled("pull");
    }
    return std::string("id");
  };
  std::thread stayer([&] {
    EXPECT_THAT(puller.Pull(Context::Background(), "key", work,
                            [&](const Progress&) { stays = true; }),
                IsOkAndHolds("id"));
  });
  EXPECT_THAT(puller.Pull(first, "key", work,
                          [&](const Progress&) {
                            if (stays) first.Cancel();
                          }),
              StatusIs(StatusCode::kCancelled));
  left = true;
  stayer.join();
  EXPECT_EQ(runs.load(), 1);
}

// A listener that blocks until the test lets it go.
struct StuckListener {
  const Context free = Context::Background().WithCancel();
  std::atomic<bool> stuck{false};
  std::vector<Progress> heard;

  void Hear(const Progress& progress) {
    heard.push_back(progress);
    stuck = true;
    pollfd fd = {free.cancel_fd(), POLLIN, 0};
    poll(&fd, 1, 30'000);
  }
};

TEST(PullerTest, AListenerThatIsStuckHoldsUpNobodyElse) {
  StuckListener listener;
  Puller puller;
  std::atomic<bool> others{false};
  std::atomic<int> runs{0};
  const auto work =
      [&](const Context& ctx,
          const ProgressFunction& report) -> StatusOr<std::string> {
    ++runs;
    if (!ReportUntil(ctx, report, [&] { return listener.stuck && others; })) {
      return Unavailable("nobody listens");
    }
    for (uint64_t i = 0; i < 100'000; ++i) report({Digest(), {}, i, 0});
    return std::string("id");
  };
  std::thread reader([&] {
    EXPECT_THAT(puller.Pull(Context::Background(), "key", work,
                            [&](const Progress& p) { listener.Hear(p); }),
                IsOkAndHolds("id"));
  });
  EXPECT_THAT(puller.Pull(Context::Background(), "key", work,
                          [&](const Progress&) { others = true; }),
              IsOkAndHolds("id"));
  // Nor does it keep the next pull from being one of its own.
  EXPECT_THAT(puller.Pull(
                  Context::Background(), "key",
                  [](const Context&, const ProgressFunction&) {
                    return StatusOr<std::string>("newer");
                  },
                  nullptr),
              IsOkAndHolds("newer"));
  listener.free.Cancel();
  reader.join();
  // It has missed much, but not the latest.
  EXPECT_LT(listener.heard.size(), 1000u);
  EXPECT_EQ(listener.heard.back().current, 99'999u);
  EXPECT_EQ(runs.load(), 1);
}

TEST(PullerTest, AStuckListenerThatIsCancelledLeaves) {
  StuckListener listener;
  Puller puller;
  const Context ctx = Context::Background().WithCancel();
  std::thread reader([&] {
    EXPECT_THAT(
        puller.Pull(
            ctx, "key",
            [](const Context& work,
               const ProgressFunction& report) -> StatusOr<std::string> {
              ReportUntil(work, report, [] { return false; });
              return Cancelled("pull");
            },
            [&](const Progress& p) { listener.Hear(p); }),
        StatusIs(StatusCode::kCancelled));
  });
  while (!listener.stuck) std::this_thread::yield();
  ctx.Cancel();
  listener.free.Cancel();
  reader.join();
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
