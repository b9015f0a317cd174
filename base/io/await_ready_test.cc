#include "base/io/await_ready.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>

#include "base/testing/status_matchers.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

class AwaitReadyTest : public ::testing::Test {
 protected:
  AwaitReadyTest() {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    read_.reset(ends[0]);
    write_.reset(ends[1]);
  }
  UniqueFd read_, write_;
  const Context ctx_ = Context::Background("test");
};

TEST_F(AwaitReadyTest, ReturnsWhenTheDescriptorIsReady) {
  EXPECT_OK(AwaitReady(ctx_, write_.get(), POLLOUT));
  ASSERT_EQ(write(write_.get(), "x", 1), 1);
  EXPECT_OK(AwaitReady(ctx_, read_.get(), POLLIN));
}

TEST_F(AwaitReadyTest, ReturnsWhenTheOtherEndIsClosed) {
  write_.reset();
  EXPECT_OK(AwaitReady(ctx_, read_.get(), POLLIN));
}

TEST_F(AwaitReadyTest, EndsWithTheContext) {
  const Context brief = ctx_.WithTimeout(std::chrono::milliseconds(1));
  EXPECT_THAT(AwaitReady(brief, read_.get(), POLLIN),
              StatusIs(StatusCode::kDeadlineExceeded));
  const Context cancelled = ctx_.WithCancel();
  cancelled.Cancel();
  EXPECT_THAT(AwaitReady(cancelled, read_.get(), POLLIN),
              StatusIs(StatusCode::kCancelled));
}

}  // namespace
}  // namespace berth
