#include "sandbox/usage/processes.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace berth::sandbox {
namespace {

TEST(ProcessStatsTest, CountsDescriptorsAndSockets) {
  const ProcessStats before = ReadProcessStats({getpid()}, 0);
  EXPECT_EQ(before.processes, 1u);
  int sockets[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
  int pipes[2];
  ASSERT_EQ(pipe(pipes), 0);
  const ProcessStats after = ReadProcessStats({getpid()}, 0);
  EXPECT_EQ(after.descriptors - before.descriptors, 4u);
  EXPECT_EQ(after.sockets - before.sockets, 2u);
  for (const int fd : {sockets[0], sockets[1], pipes[0], pipes[1]}) close(fd);
}

TEST(ProcessStatsTest, TellsTheSoftLimitOfTheFirst) {
  struct rlimit own = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &own), 0);
  EXPECT_EQ(ReadProcessStats({}, getpid()).descriptor_limit, own.rlim_cur);
  EXPECT_FALSE(ReadProcessStats({getpid()}, 0).descriptor_limit.has_value());
}

TEST(ProcessStatsTest, PassesOverAProcessThatHasGone) {
  constexpr pid_t kNobody = 0x3fffffff;  // above any pid_max
  const ProcessStats stats = ReadProcessStats({kNobody}, kNobody);
  EXPECT_EQ(stats.processes, 0u);
  EXPECT_EQ(stats.descriptors, 0u);
  EXPECT_FALSE(stats.descriptor_limit.has_value());
}

}  // namespace
}  // namespace berth::sandbox
