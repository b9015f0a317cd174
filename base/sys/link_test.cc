#include "base/sys/link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "base/sys/file.h"
#include "base/testing/status_matchers.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

class SetLinkUpTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    std::thread maker([&] {
      ASSERT_EQ(unshare(CLONE_NEWNET), 0);
      auto opened = OpenFile("/proc/thread-self/ns/net", 0 /* O_RDONLY */);
      ASSERT_OK(opened);
      netns_ = *std::move(opened);
    });
    maker.join();
  }

  bool IsUp(const char* name) {
    bool up = false;
    std::thread visitor([&] {
      ASSERT_EQ(setns(netns_.get(), CLONE_NEWNET), 0);
      UniqueFd control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      ifreq request = {};
      strncpy(request.ifr_name, name, sizeof(request.ifr_name) - 1);
      ASSERT_EQ(ioctl(control.get(), SIOCGIFFLAGS, &request), 0);
      up = (request.ifr_flags & IFF_UP) != 0;
    });
    visitor.join();
    return up;
  }

  UniqueFd netns_;
};

TEST_F(SetLinkUpTest, BringsLoopbackUpInAnotherNamespace) {
  EXPECT_FALSE(IsUp("lo"));
  EXPECT_OK(SetLinkUp(netns_.get(), "lo"));
  EXPECT_TRUE(IsUp("lo"));
  EXPECT_OK(SetLinkUp(netns_.get(), "lo"));
}

TEST_F(SetLinkUpTest, AddsAddressesOfBothFamilies) {
  ASSERT_OK(SetLinkUp(netns_.get(), "lo"));
  for (int i = 0; i < 2; ++i) {
    EXPECT_OK(AddAddress(netns_.get(), "lo", "169.254.7.7", 16));
    EXPECT_OK(AddAddress(netns_.get(), "lo", "fe80::7", 64));
  }
  ASSERT_OK_AND_ASSIGN(const Link link, FindLink(netns_.get(), "lo"));
  EXPECT_THAT(link.addresses,
              ::testing::IsSupersetOf({"169.254.7.7/16", "fe80::7/64"}));
  EXPECT_THAT(AddAddress(netns_.get(), "none", "169.254.7.7", 16),
              StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(AddAddress(netns_.get(), "lo", "nonsense", 16),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST_F(SetLinkUpTest, SocketsOfAnotherNamespaceReachItsOwnLoopback) {
  ASSERT_OK(SetLinkUp(netns_.get(), "lo"));
  ASSERT_OK_AND_ASSIGN(const UniqueFd server,
                       SocketIn(netns_.get(), AF_INET, SOCK_STREAM));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr* const name = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(server.get(), name, size), 0);
  ASSERT_EQ(listen(server.get(), 1), 0);
  ASSERT_EQ(getsockname(server.get(), name, &size), 0);
  ASSERT_OK_AND_ASSIGN(const UniqueFd inside,
                       SocketIn(netns_.get(), AF_INET, SOCK_STREAM));
  EXPECT_EQ(connect(inside.get(), name, size), 0);
  const UniqueFd outside(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_NE(connect(outside.get(), name, size), 0);
}

TEST_F(SetLinkUpTest, TakesItDownAgain) {
  EXPECT_OK(SetLinkDown(netns_.get(), "lo"));
  EXPECT_OK(SetLinkUp(netns_.get(), "lo"));
  EXPECT_OK(SetLinkDown(netns_.get(), "lo"));
  EXPECT_FALSE(IsUp("lo"));
}

TEST_F(SetLinkUpTest, FindsWhatALinkIs) {
  ASSERT_OK_AND_ASSIGN(const Link down, FindLink(netns_.get(), "lo"));
  EXPECT_FALSE(down.up);
  EXPECT_THAT(down.addresses, testing::IsEmpty());
  ASSERT_OK(SetLinkUp(netns_.get(), "lo"));
  ASSERT_OK_AND_ASSIGN(const Link up, FindLink(netns_.get(), "lo"));
  EXPECT_TRUE(up.up);
  ASSERT_FALSE(up.addresses.empty());
  EXPECT_EQ(up.addresses[0], "127.0.0.1/8");
  if (up.addresses.size() > 1) {
    EXPECT_EQ(up.addresses[1], "::1/128");
  }
  EXPECT_THAT(FindLink(netns_.get(), "none0"),
              StatusIs(StatusCode::kNotFound, testing::HasSubstr("none0")));
}

TEST_F(SetLinkUpTest, NamesALinkThatIsNotThere) {
  EXPECT_THAT(SetLinkUp(netns_.get(), "none0"),
              StatusIs(StatusCode::kNotFound, testing::HasSubstr("none0")));
  EXPECT_THAT(SetLinkUp(netns_.get(), "a-name-beyond-fifteen"),
              StatusIs(StatusCode::kInvalidArgument));
}

// In a thread of its own: the namespace is the caller's.
TEST(RemoveBridgeTest, RemovesBridgesAlone) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  std::thread inside([] {
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    UniqueFd control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    char name[] = "br0";
    ASSERT_EQ(ioctl(control.get(), SIOCBRADDBR, name), 0);
    ASSERT_OK_AND_ASSIGN(const UniqueFd here,
                         OpenFile("/proc/thread-self/ns/net", 0));
    ASSERT_OK(SetLinkUp(here.get(), "br0"));
    EXPECT_OK(RemoveBridge("br0"));
    EXPECT_THAT(FindLink(here.get(), "br0"), StatusIs(StatusCode::kNotFound));
    EXPECT_OK(RemoveBridge("br0"));
    EXPECT_FALSE(RemoveBridge("lo").ok());
  });
  inside.join();
}

}  // namespace
}  // namespace berth
