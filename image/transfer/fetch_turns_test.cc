#include "image/transfer/fetch_turns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <string>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"
#include "base/testing/status_matchers.h"
#include "base/thread.h"

namespace berth::image {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

const Context kSoon = Context::Background().WithTimeout(seconds(30));

Context Shortly() {
  return Context::Background().WithTimeout(milliseconds(30));
}

// Takes a turn, tells of it and ends it.
Thread TakeAside(FetchTurns& turns, const std::string& origin,
                 const std::function<void()>& has) {
  StatusOr<Thread> thread = StartThread("taker", [&turns, origin, has] {
    const StatusOr<FetchTurns::Turn> turn = turns.Take(kSoon, "blob", origin);
    EXPECT_OK(turn.status());
    has();
  });
  EXPECT_OK(thread.status());
  return *std::move(thread);
}

TEST(FetchTurnsTest, ABlobHasOneTurnAtATime) {
  FetchTurns turns((hours(1)));
  {
    ASSERT_OK_AND_ASSIGN(const FetchTurns::Turn turn,
                         turns.Take(kSoon, "blob", "a"));
    EXPECT_THAT(
        turns.Take(Shortly(), "blob", "b").status(),
        StatusIs(StatusCode::kDeadlineExceeded, ::testing::HasSubstr("blob")));
    EXPECT_OK(turns.Take(kSoon, "another", "b").status());
    EXPECT_FALSE(turn.lost());
    EXPECT_OK(turn.ctx().Check());
  }
  EXPECT_OK(turns.Take(kSoon, "blob", "b").status());
}

TEST(FetchTurnsTest, ASilentOneLosesItsTurnToAnotherOrigin) {
  FetchTurns turns((milliseconds(5)));
  std::atomic<bool> had{false};
  Thread other;
  {
    ASSERT_OK_AND_ASSIGN(const FetchTurns::Turn turn,
                         turns.Take(kSoon, "blob", "a"));
    // It has nowhere else to go.
    EXPECT_FALSE(turns.Take(Shortly(), "blob", "a").ok());
    EXPECT_FALSE(turn.lost());
    other = TakeAside(turns, "b", [&] { had = true; });
    while (!turn.ctx().cancelled()) sched_yield();
    EXPECT_TRUE(turn.lost());
    EXPECT_FALSE(had);  // until it is given up
  }
  EXPECT_OK(turns.Take(kSoon, "blob", "a").status());
  other.Join();
  EXPECT_TRUE(had);
}

TEST(FetchTurnsTest, WhoMakesHeadwayKeepsItsTurn) {
  FetchTurns turns((milliseconds(200)));
  ASSERT_OK_AND_ASSIGN(FetchTurns::Turn turn, turns.Take(kSoon, "blob", "a"));
  std::atomic<bool> had{false};
  Thread other = TakeAside(turns, "b", [&] { had = true; });
  SteadyTime last = std::chrono::steady_clock::now();
  const SteadyTime end = last + milliseconds(600);
  Duration longest = {};
  for (uint64_t bytes = 0; last < end;) {
    turn.Advance(bytes += 64 * 1024);
    sched_yield();
    const SteadyTime now = std::chrono::steady_clock::now();
    longest = std::max(longest, now - last);
    last = now;
  }
  // A machine that stood still so long made none.
  if (longest < milliseconds(150)) {
    EXPECT_FALSE(turn.lost());
  }
  // A few bytes are none.
  while (!turn.lost()) turn.Advance(1 << 30 | 1), turn.Advance(1 << 30);
  { const FetchTurns::Turn gone = std::move(turn); }
  other.Join();
  EXPECT_TRUE(had);
}

TEST(FetchTurnsTest, OneWithoutAnOriginKeepsItsTurn) {
  FetchTurns turns((milliseconds(1)));
  ASSERT_OK_AND_ASSIGN(const FetchTurns::Turn turn,
                       turns.Take(kSoon, "blob", ""));
  EXPECT_FALSE(turns.Take(Shortly(), "blob", "b").ok());
  EXPECT_FALSE(turn.lost());
}

// Else two silent registries would take turns for ever.
TEST(FetchTurnsTest, WhoWasSilentTakesNoTurnAway) {
  FetchTurns turns((milliseconds(1)));
  std::atomic<int> back{0};
  Thread again;
  StatusOr<Thread> first = StartThread("first", [&] {
    {
      StatusOr<FetchTurns::Turn> turn = turns.Take(kSoon, "blob", "a");
      ASSERT_OK(turn.status());
      back = 1;
      while (!turn->ctx().cancelled()) sched_yield();
      again = TakeAside(turns, "a", [&] { back = 2; });
    }
  });
  ASSERT_OK(first.status());
  while (back == 0) sched_yield();
  {
    ASSERT_OK_AND_ASSIGN(const FetchTurns::Turn turn,
                         turns.Take(kSoon, "blob", "b"));
    EXPECT_FALSE(turns.Take(Shortly(), "blob", "b").ok());
    EXPECT_FALSE(turn.lost());
    EXPECT_EQ(back, 1);
  }
  first->Join();
  again.Join();
  EXPECT_EQ(back, 2);
}

}  // namespace
}  // namespace berth::image
