#include "base/io/host_lookup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"

namespace berth {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Addresses = std::vector<std::string>;

const Context ctx = Context::Background();

// A resolver that answers when it is let go.
class Silent {
 public:
  ~Silent() { free_.Cancel(); }
  Resolver resolver() const {
    return [free = free_](const std::string& host) -> StatusOr<Addresses> {
      pollfd fd = {free.cancel_fd(), POLLIN, 0};
      poll(&fd, 1, 30'000);
      return Addresses{host};
    };
  }
  void Free() { free_.Cancel(); }

 private:
  const Context free_ = Context::Background().WithCancel();
};

TEST(HostLookupTest, KnowsAddresses) {
  EXPECT_THAT(LookUpHost(ctx, "192.0.2.1"),
              IsOkAndHolds(ElementsAre("192.0.2.1")));
  EXPECT_THAT(LookUpHost(ctx, "2001:db8::1"),
              IsOkAndHolds(ElementsAre("2001:db8::1")));
  EXPECT_THAT(LookUpHost(ctx, std::string("a\0b", 3)),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(HostLookupTest, NamesTheHostThatIsUnknown) {
  EXPECT_THAT(LookUpHostBy(
                  ctx, "nobody",
                  [](const std::string&) -> StatusOr<Addresses> {
                    return FailedPrecondition("no such name");
                  },
                  hours(1)),
              StatusIs(StatusCode::kFailedPrecondition,
                       HasSubstr("lookup nobody: no such name")));
}

TEST(HostLookupTest, WaitsNoLongerThanItsCallerDoes) {
  Silent silent;
  EXPECT_THAT(LookUpHostBy(ctx, "slow", silent.resolver(), milliseconds(10)),
              StatusIs(StatusCode::kDeadlineExceeded,
                       HasSubstr("lookup slow: the name servers do not")));
  EXPECT_THAT(LookUpHostBy(ctx.WithTimeout(milliseconds(10)), "slow",
                           silent.resolver(), hours(1)),
              StatusIs(StatusCode::kDeadlineExceeded));
  const Context cancelled = ctx.WithCancel();
  cancelled.Cancel();
  EXPECT_THAT(LookUpHostBy(cancelled, "slow", silent.resolver(), hours(1)),
              StatusIs(StatusCode::kCancelled));
}

TEST(HostLookupTest, SilentServersKeepSoManyThreadsAndNoMore) {
  Silent silent;
  StatusCode code = StatusCode::kOk;
  int tries = 0;
  do {
    code = LookUpHostBy(ctx, "slow", silent.resolver(), milliseconds(0))
               .status()
               .code();
  } while (code == StatusCode::kDeadlineExceeded && ++tries < 1000);
  EXPECT_EQ(code, StatusCode::kUnavailable);
  silent.Free();
  // They end, and others get their places.
  StatusOr<Addresses> answer = Unavailable("");
  while (answer.status().code() == StatusCode::kUnavailable) {
    answer = LookUpHostBy(ctx, "quick", silent.resolver(), hours(1));
  }
  EXPECT_THAT(answer, IsOkAndHolds(ElementsAre("quick")));
}

}  // namespace
}  // namespace berth
