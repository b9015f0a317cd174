#include "image/registry/registry_shares.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <vector>

#include "base/testing/status_matchers.h"

namespace berth::image {
namespace {

using ::testing::HasSubstr;

TEST(RegistrySharesTest, AFullRegistryHoldsUpNoOther) {
  RegistryShares shares(2);
  const Context ctx = Context::Background();
  ASSERT_OK_AND_ASSIGN(const auto one, shares.Acquire(ctx, "slow.test"));
  ASSERT_OK_AND_ASSIGN(const auto two, shares.Acquire(ctx, "slow.test"));
  EXPECT_THAT(shares.Acquire(ctx.WithTimeout(std::chrono::milliseconds(5)),
                             "slow.test"),
              StatusIs(StatusCode::kDeadlineExceeded, HasSubstr("slow.test")));
  EXPECT_OK(shares.Acquire(ctx, "good.test"));
}

TEST(RegistrySharesTest, AWaitEndsWhenItIsCancelled) {
  RegistryShares shares(1);
  const Context ctx = Context::Background().WithCancel();
  ASSERT_OK_AND_ASSIGN(const auto held, shares.Acquire(ctx, "a.test"));
  std::thread waiter([&] {
    EXPECT_THAT(shares.Acquire(ctx, "a.test"),
                StatusIs(StatusCode::kCancelled));
  });
  ctx.Cancel();
  waiter.join();
}

TEST(RegistrySharesTest, GivesPlacesOnOneAfterTheOther) {
  RegistryShares shares(3);
  std::atomic<int> at_work{0};
  std::atomic<int> most{0};
  std::atomic<int> done{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 24; ++i) {
    threads.emplace_back([&] {
      const auto place = shares.Acquire(Context::Background(), "a.test");
      ASSERT_OK(place);
      const int now = ++at_work;
      for (int seen = most;
           now > seen && !most.compare_exchange_weak(seen, now); seen = most) {
      }
      std::this_thread::yield();
      --at_work;
      ++done;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(done.load(), 24);
  EXPECT_LE(most.load(), 3);
}

TEST(RegistrySharesTest, OneWhoGivesUpAtTheFrontLetsTheNextPass) {
  RegistryShares shares(1);
  const Context ctx = Context::Background();
  std::optional<RegistryShares::Place> held(*shares.Acquire(ctx, "a.test"));
  const Context first = ctx.WithCancel();
  std::atomic<bool> gone{false};
  std::thread quitter([&] {
    EXPECT_FALSE(shares.Acquire(first, "a.test").ok());
    gone = true;
  });
  std::thread patient(
      [&] { EXPECT_OK(shares.Acquire(Context::Background(), "a.test")); });
  first.Cancel();
  while (!gone) std::this_thread::yield();
  held.reset();
  quitter.join();
  patient.join();
}

}  // namespace
}  // namespace berth::image
