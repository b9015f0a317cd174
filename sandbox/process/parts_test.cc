// The small parts: names, phases, the bus, the kill timer, queries.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

#include "base/testing/status_matchers.h"
#include "sandbox/event_bus.h"
#include "sandbox/process/kill_timer.h"
#include "sandbox/record/name_index.h"
#include "sandbox/record/phase.h"

namespace berth::sandbox {
namespace {

using namespace std::chrono_literals;
using namespace ::berth::state::v1;

TEST(NameIndexTest, AClaimEndsWithItsRequest) {
  NameIndex names;
  {
    NameIndex::Claim first = names.Take("n", "1");
    EXPECT_TRUE(first.mine());
    NameIndex::Claim second = names.Take("n", "2");
    EXPECT_FALSE(second.mine());
    EXPECT_TRUE(second.busy());
    EXPECT_EQ(second.id(), "1");
  }
  EXPECT_TRUE(names.Take("n", "3").mine());
}

TEST(NameIndexTest, AKeptNameIsHeldUntilItsOwnerLetsGo) {
  NameIndex names;
  names.Take("n", "1").Keep();
  EXPECT_FALSE(names.Take("n", "2").busy());
  names.Release("n", "2");
  EXPECT_FALSE(names.Take("n", "2").mine());
  names.Release("n", "1");
  EXPECT_TRUE(names.Take("n", "2").mine());
}

TEST(NameIndexTest, AnIdMayBeGivenWithTheName) {
  NameIndex names;
  names.Take("n", "").Keep("1");
  EXPECT_EQ(names.Take("n", "2").id(), "1");
  names.Release("n", "1");
  EXPECT_TRUE(names.Take("n", "2").mine());
}

TEST(NameIndexTest, PartsOfANameDoNotRunTogether) {
  SandboxConfig one, two;
  one.mutable_metadata()->set_name("ab");
  one.mutable_metadata()->set_namespace_("c");
  two.mutable_metadata()->set_name("a");
  two.mutable_metadata()->set_namespace_("bc");
  EXPECT_NE(NameOf(one), NameOf(two));
}

TEST(PhaseTest, OnlyStandaloneStartsAgain) {
  EXPECT_FALSE(IsLegal(SANDBOX_KIND_POD, CONTAINER_PHASE_EXITED,
                       CONTAINER_PHASE_STARTING));
  EXPECT_TRUE(IsLegal(SANDBOX_KIND_STANDALONE, CONTAINER_PHASE_EXITED,
                      CONTAINER_PHASE_STARTING));
  EXPECT_FALSE(IsLegal(SANDBOX_KIND_POD, CONTAINER_PHASE_RUNNING,
                       CONTAINER_PHASE_STARTING));
  EXPECT_FALSE(
      IsLegal(SANDBOX_KIND_POD, SANDBOX_PHASE_STOPPED, SANDBOX_PHASE_STARTING));
}

TEST(EventBusTest, ASlowReaderLosesTheOldestAndIsTold) {
  EventBus bus;
  const auto reader = bus.Subscribe({}, 2);
  for (int i = 0; i < 5; ++i) {
    Event event;
    event.exit_code = i;
    bus.Publish(event);
  }
  const Context ctx = Context::Background().WithTimeout(5s);
  EXPECT_THAT(reader->Next(ctx), StatusIs(StatusCode::kResourceExhausted));
  EXPECT_EQ(reader->Next(ctx)->exit_code, 3);
  EXPECT_EQ(reader->Next(ctx)->exit_code, 4);
}

TEST(EventBusTest, FiltersAndEnds) {
  std::optional<EventBus> bus(std::in_place);
  EventFilter filter;
  filter.container_id = "c";
  const auto reader = bus->Subscribe(filter);
  bus->Publish(Event{});
  Event wanted;
  wanted.container_id = "c";
  bus->Publish(wanted);
  const Context ctx = Context::Background().WithTimeout(5s);
  EXPECT_EQ(reader->Next(ctx)->container_id, "c");
  EXPECT_THAT(reader->Next(ctx.WithTimeout(1ms)),
              StatusIs(StatusCode::kDeadlineExceeded));
  bus.reset();
  EXPECT_THAT(reader->Next(ctx), StatusIs(StatusCode::kCancelled));
}

ContainerRun RunOf(const std::string& id, uint64_t number = 1) {
  return {ContainerId(id), number};
}

TEST(KillTimerTest, TheEarlierDeadlineCounts) {
  std::atomic<int> kills = 0;
  KillTimer timer(1h, {[&](const ContainerRun&) { ++kills; },
                       [](const ContainerRun&, int) {}});
  ASSERT_OK(timer.Start());
  const auto now = std::chrono::steady_clock::now();
  timer.Arm(RunOf("a"), now + 1h);
  timer.Arm(RunOf("b"), now + 1h);
  timer.Arm(RunOf("a"), now);
  timer.Arm(RunOf("a"), now + 1h);
  while (kills == 0) std::this_thread::yield();
  timer.Disarm(RunOf("b"));
  timer.Stop();
  EXPECT_EQ(kills, 1);
}

TEST(KillTimerTest, AsksAgainAndAgainAfterTheKillUntilTheExit) {
  std::atomic<int> kills = 0;
  std::atomic<int> rounds = 0;
  KillTimer timer(1ms, {[&](const ContainerRun&) { ++kills; },
                        [&](const ContainerRun&, int n) { rounds = n; }});
  ASSERT_OK(timer.Start());
  timer.Killed(RunOf("a"));
  timer.Killed(RunOf("a"));
  timer.Arm(RunOf("a"), std::chrono::steady_clock::now());
  while (rounds < 3) std::this_thread::yield();
  timer.Disarm(RunOf("a"));
  timer.Stop();
  EXPECT_EQ(kills, 0);
}

TEST(KillTimerTest, OneRunIsNotTakenForTheNext) {
  std::atomic<uint64_t> killed = 0;
  KillTimer timer(1h, {[&](const ContainerRun& run) { killed = run.number; },
                       [](const ContainerRun&, int) {}});
  ASSERT_OK(timer.Start());
  const auto now = std::chrono::steady_clock::now();
  timer.Killed(RunOf("a", 1));
  timer.Arm(RunOf("a", 2), now + 1h);
  timer.Arm(RunOf("a", 1), now);
  timer.Killed(RunOf("a", 1));
  timer.Disarm(RunOf("a", 1));
  EXPECT_EQ(killed, 0u);
  timer.Arm(RunOf("a", 2), now);
  while (killed == 0) std::this_thread::yield();
  timer.Stop();
  EXPECT_EQ(killed, 2u);
}

}  // namespace
}  // namespace berth::sandbox
