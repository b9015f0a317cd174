#include "base/sys/route.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "base/context.h"
#include "base/io/subprocess.h"
#include "base/sys/file.h"
#include "base/testing/status_matchers.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class RouteTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    // In the namespace from its birth on.
    worker_ = std::thread([&] {
      ASSERT_EQ(unshare(CLONE_NEWNET), 0);
      auto opened = OpenFile("/proc/thread-self/ns/net", 0 /* O_RDONLY */);
      ASSERT_OK(opened);
      netns_ = *std::move(opened);
    });
    worker_.join();
    In("ip link add d0 type veth peer name p0; "
       "ip link add d1 type veth peer name p1; "
       "ip link set p0 up; ip link set p1 up; ip addr add 10.9.0.2/24 dev d0; "
       "ip addr add 10.8.0.2/24 dev d1; "
       "ip -6 addr add fd09::2/64 dev d0 nodad; ip link set d0 up; "
       "ip link set d1 up");
  }

  std::string In(const std::string& script) {
    std::string output;
    std::thread visitor([&] {
      ASSERT_EQ(setns(netns_.get(), CLONE_NEWNET), 0);
      Command command;
      command.program = "/bin/sh";
      command.args = {"-c", script};
      command.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
      const auto result = RunCommand(Context::Background(), command);
      ASSERT_OK(result);
      output = result->output + result->errors;
    });
    visitor.join();
    return output;
  }

  std::thread worker_;
  UniqueFd netns_;
};

TEST_F(RouteTest, ReplacesTheDefaultRoute) {
  ASSERT_OK(SetDefaultRoute(netns_.get(), "10.9.0.1", "d0"));
  EXPECT_THAT(In("ip route"), HasSubstr("default via 10.9.0.1 dev d0"));
  ASSERT_OK(SetDefaultRoute(netns_.get(), "10.8.0.1", "d1"));
  EXPECT_THAT(In("ip route"), HasSubstr("default via 10.8.0.1 dev d1"));
  EXPECT_THAT(In("ip route"), Not(HasSubstr("10.9.0.1")));
}

TEST_F(RouteTest, TakesAllOfThemAway) {
  In("ip route add default via 10.9.0.1; "
     "ip route add default via 10.8.0.1 metric 9");
  ASSERT_OK(ClearDefaultRoutes(netns_.get(), false));
  EXPECT_THAT(In("ip route"), Not(HasSubstr("default")));
  EXPECT_THAT(In("ip route"), HasSubstr("10.9.0.0/24"));
  EXPECT_OK(ClearDefaultRoutes(netns_.get(), false));
}

TEST_F(RouteTest, KnowsTheOtherFamily) {
  ASSERT_OK(SetDefaultRoute(netns_.get(), "fd09::1", "d0"));
  EXPECT_THAT(In("ip -6 route"), HasSubstr("default via fd09::1 dev d0"));
  ASSERT_OK(ClearDefaultRoutes(netns_.get(), true));
  EXPECT_THAT(In("ip -6 route"), Not(HasSubstr("default")));
}

TEST_F(RouteTest, SaysWhatIsWrong) {
  EXPECT_THAT(SetDefaultRoute(netns_.get(), "10.9.0.1", "none0"),
              StatusIs(StatusCode::kNotFound, HasSubstr("none0")));
  EXPECT_THAT(SetDefaultRoute(netns_.get(), "10.9.0.300", "d0"),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_FALSE(SetDefaultRoute(netns_.get(), "192.0.2.1", "d0").ok());
}

}  // namespace
}  // namespace berth
