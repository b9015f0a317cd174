// The small parts of base that need no file of their own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/digest.h"
#include "base/gate.h"
#include "base/keyed_mutex.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/strings.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/undo.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(StatusTest, AnnotateKeepsCodeAndErrno) {
  const Status status = Annotate(Errno(EACCES, "open \"/x\""), "read config");
  EXPECT_THAT(status, StatusIs(StatusCode::kPermissionDenied,
                               "read config: open \"/x\": Permission denied"));
  EXPECT_EQ(ErrnoOf(status), EACCES);
  EXPECT_EQ(ErrnoOf(OkStatus()), 0);
  EXPECT_OK(Annotate(OkStatus(), "nothing"));
}

TEST(UniqueFdTest, ClosesAndMoves) {
  TempDir dir;
  const int raw = dup(dir.fd());
  {
    UniqueFd a(raw);
    UniqueFd b(std::move(a));
    EXPECT_FALSE(a.valid());
    EXPECT_EQ(b.get(), raw);
  }
  EXPECT_EQ(close(raw), -1);
}

TEST(UndoTest, RunsLastFirstUnlessCommitted) {
  std::vector<int> order;
  {
    Undo undo;
    undo.Add([&] { order.push_back(1); });
    undo.Add([&] { order.push_back(2); });
  }
  EXPECT_THAT(order, ElementsAre(2, 1));
  {
    Undo undo;
    undo.Add([&] { order.push_back(3); });
    undo.Commit();
  }
  EXPECT_THAT(order, ElementsAre(2, 1));
}

TEST(GateTest, ManyAreInsideOrOneAlone) {
  Gate gate;
  const Context ctx = Context::Background("t");
  const auto soon = [&] {
    return ctx.WithTimeout(std::chrono::milliseconds(1));
  };
  ASSERT_OK_AND_ASSIGN(Gate::Pass one, gate.Enter(ctx));
  ASSERT_OK_AND_ASSIGN(Gate::Pass two, gate.Enter(ctx));
  EXPECT_THAT(gate.BeAlone(soon()), StatusIs(StatusCode::kDeadlineExceeded));
  one.Return();
  // Who waited to be alone and gave up keeps nobody out.
  EXPECT_OK(gate.Enter(ctx).status());
  two.Return();
  ASSERT_OK_AND_ASSIGN(Gate::Pass alone, gate.BeAlone(ctx));
  EXPECT_THAT(gate.Enter(soon()), StatusIs(StatusCode::kDeadlineExceeded));
  EXPECT_THAT(gate.BeAlone(soon()), StatusIs(StatusCode::kDeadlineExceeded));
  // A pass that has moved is held once.
  Gate::Pass moved = std::move(alone);
  alone.Return();
  EXPECT_THAT(gate.Enter(soon()), StatusIs(StatusCode::kDeadlineExceeded));
  moved = Gate::Pass();
  EXPECT_OK(gate.Enter(ctx).status());
}

TEST(GateTest, WhoWaitsGoesInWhenTheLastHasLeft) {
  Gate gate;
  const Context ctx = Context::Background("t");
  ASSERT_OK_AND_ASSIGN(Gate::Pass inside, gate.Enter(ctx));
  std::thread waits([&] { EXPECT_OK(gate.BeAlone(ctx).status()); });
  inside.Return();
  waits.join();
}

TEST(KeyedMutexTest, ExcludesTheSameKeyOnly) {
  KeyedMutex mutex;
  int shared = 0;
  const auto other = mutex.Acquire(Context::Background(), "b");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 1000; ++n) {
        const auto lock = mutex.Acquire(Context::Background(), "a");
        ++shared;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(shared, 4000);
}

// A thread that waits for "a", held by the caller; what it got.
class Waiter {
 public:
  Waiter(KeyedMutex& mutex, const Context& ctx)
      : thread_([this, &mutex, ctx] {
          status_ = mutex.Acquire(ctx, "a").status();
        }) {}
  Status Join() {
    thread_.join();
    return status_;
  }

 private:
  Status status_;
  std::thread thread_;
};

TEST(KeyedMutexTest, AWaitEndsWithItsContext) {
  KeyedMutex mutex;
  auto held = mutex.Acquire(Context::Background(), "a");
  ASSERT_OK(held.status());
  const Context ctx = Context::Background().WithCancel();
  Waiter waiter(mutex, ctx);
  ctx.Cancel();
  EXPECT_THAT(waiter.Join(), StatusIs(StatusCode::kCancelled));
  EXPECT_THAT(
      mutex.Acquire(Context::Background().WithTimeout(Duration::zero()), "a")
          .status(),
      StatusIs(StatusCode::kDeadlineExceeded));
}

TEST(KeyedMutexTest, AnEndedWaitLeavesTheKeyToOthers) {
  KeyedMutex mutex;
  auto held = mutex.Acquire(Context::Background(), "a");
  ASSERT_OK(held.status());
  const Context ctx = Context::Background().WithCancel();
  Waiter ended(mutex, ctx);
  Waiter patient(mutex, Context::Background());
  ctx.Cancel();
  EXPECT_FALSE(ended.Join().ok());
  held->Give();
  EXPECT_OK(patient.Join());
  EXPECT_OK(held->Retake(Context::Background()));
}

TEST(ClockTest, FormatsWithAllNineDigits) {
  EXPECT_EQ(FormatRfc3339(0), "1970-01-01T00:00:00.000000000Z");
  EXPECT_EQ(FormatRfc3339(1'700'000'000'000'000'042),
            "2023-11-14T22:13:20.000000042Z");
  EXPECT_EQ(FormatRfc3339(-1), "1969-12-31T23:59:59.999999999Z");
}

TEST(ContextTest, CancelReachesChildrenButNotTheParent) {
  const Context parent = Context::Background("r1").WithCancel();
  const Context child = parent.WithCancel();
  child.Cancel();
  EXPECT_TRUE(child.cancelled());
  EXPECT_OK(parent.Check());
  const Context late = parent.WithCancel();
  parent.Cancel();
  EXPECT_THAT(late.Check(), StatusIs(StatusCode::kCancelled));
  EXPECT_TRUE(parent.WithCancel().cancelled());
}

TEST(ContextTest, CancellingTheParentWakesAWaitBelowIt) {
  const Context parent = Context::Background().WithCancel();
  const Context child = parent.WithCancel().WithTimeout(std::chrono::hours(1));
  Mutex mutex;
  CondVar changed;
  std::thread canceller([&] { parent.Cancel(); });
  {
    MutexLock lock(mutex);
    EXPECT_THAT(child.Await(mutex, changed, [] { return false; }),
                StatusIs(StatusCode::kCancelled));
    EXPECT_OK(child.Await(mutex, changed, [] { return true; }));
  }
  canceller.join();
}

TEST(ContextTest, TheEarlierDeadlineWins) {
  const Context context = Context::Background().WithTimeout(Duration::zero());
  EXPECT_THAT(context.WithTimeout(std::chrono::hours(1)).Check(),
              StatusIs(StatusCode::kDeadlineExceeded));
  EXPECT_EQ(context.Remaining(std::chrono::hours(1)), Duration::zero());
}

TEST(StringsTest, SplitJoinTrim) {
  EXPECT_THAT(Split("a,,b", ','), ElementsAre("a", "", "b"));
  EXPECT_THAT(Split("", ','), IsEmpty());
  EXPECT_EQ(Join({"a", "b"}, "::"), "a::b");
  EXPECT_EQ(Trim(" \t x y\n"), "x y");
}

TEST(StringsTest, NumbersAreWholeAndInRange) {
  EXPECT_EQ(ParseInt("-9223372036854775808"), INT64_MIN);
  EXPECT_EQ(ParseInt("9223372036854775808"), std::nullopt);
  EXPECT_EQ(ParseUint("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(ParseUint("12 "), std::nullopt);
  EXPECT_EQ(ParseUint(""), std::nullopt);
}

TEST(StringsTest, QuotedShowsControlCharacters) {
  EXPECT_EQ(Quoted("a\"\n"), "\"a\\\"\\x0a\"");
}

TEST(DigestTest, KnownValueAndBadForms) {
  EXPECT_EQ(Digest::Of("").str(),
            "sha256:"
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_THAT(Digest::Parse(Digest::Of("x").str()),
              IsOkAndHolds(Digest::Of("x")));
  EXPECT_FALSE(Digest::Parse("sha256:../../etc").ok());
  EXPECT_FALSE(Digest::Parse("md5:00").ok());
  Sha256 hash;
  hash.Update("ab");
  EXPECT_EQ(hash.Value(), Digest::Of("ab"));
  hash.Update("c");
  EXPECT_EQ(hash.Value(), Digest::Of("abc"));
}

}  // namespace
}  // namespace berth
