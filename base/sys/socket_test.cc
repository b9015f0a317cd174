#include "base/sys/socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth {
namespace {

TEST(UnixSocketTest, CarriesBytesAndKnowsThePeer) {
  TempDir dir;
  ASSERT_OK_AND_ASSIGN(UniqueFd listener, ListenUnix(dir.Path("s"), 0600));
  ASSERT_OK_AND_ASSIGN(UniqueFd client, ConnectUnix(dir.Path("s")));
  ASSERT_OK_AND_ASSIGN(UniqueFd server, AcceptUnix(listener.get()));
  ASSERT_EQ(write(client.get(), "hello", 5), 5);
  char bytes[8];
  EXPECT_EQ(read(server.get(), bytes, sizeof(bytes)), 5);
  ASSERT_OK_AND_ASSIGN(const PeerCredentials peer,
                       GetPeerCredentials(server.get()));
  EXPECT_EQ(peer.pid, getpid());
  EXPECT_EQ(peer.uid, geteuid());
}

TEST(UnixSocketTest, ReachesPathsThatDoNotFitTheAddress) {
  TempDir dir;
  const std::string deep = std::string(60, 'a') + "/" + std::string(60, 'b');
  dir.MakeDirectory(deep);
  const std::string path = dir.Path(deep + "/s");
  ASSERT_GT(path.size(), 108u);
  ASSERT_OK_AND_ASSIGN(UniqueFd listener, ListenUnix(path, 0600));
  EXPECT_OK(ConnectUnix(path));
}

TEST(UnixSocketTest, SaysWhyNobodyAnswers) {
  TempDir dir;
  EXPECT_THAT(ConnectUnix(dir.Path("none")), StatusIs(StatusCode::kNotFound));
  { ASSERT_OK(ListenUnix(dir.Path("dead"), 0600)); }
  EXPECT_THAT(ConnectUnix(dir.Path("dead")),
              StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(ListenUnix(dir.Path("dead"), 0600),
              StatusIs(StatusCode::kAlreadyExists));
}

TEST(UnixSocketTest, TellsWhetherSomebodyListens) {
  TempDir dir;
  const std::string path = dir.Path("s");
  EXPECT_FALSE(SomebodyListens(path));
  ASSERT_OK_AND_ASSIGN(UniqueFd listener, ListenUnix(path, 0600));
  // Also when its queue is full, and nobody takes from it.
  for (int i = 0; i < 200; ++i) EXPECT_TRUE(SomebodyListens(path));
  listener.reset();
  EXPECT_FALSE(SomebodyListens(path));
  dir.Write("file", "");
  EXPECT_FALSE(SomebodyListens(dir.Path("file")));
}

TEST(UnixSocketTest, PassesADescriptor) {
  ASSERT_OK_AND_ASSIGN(auto pair, SocketPair());
  int pipe_fds[2];
  ASSERT_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
  UniqueFd reader(pipe_fds[0]);
  {
    UniqueFd writer(pipe_fds[1]);
    ASSERT_OK(SendFd(pair.first.get(), writer.get(), "/dev/pts/1"));
  }
  std::string text;
  ASSERT_OK_AND_ASSIGN(UniqueFd received, ReceiveFd(pair.second.get(), &text));
  EXPECT_EQ(text, "/dev/pts/1");
  EXPECT_NE(fcntl(received.get(), F_GETFD) & FD_CLOEXEC, 0);
  ASSERT_EQ(write(received.get(), "x", 1), 1);
  char byte;
  EXPECT_EQ(read(reader.get(), &byte, 1), 1);
}

TEST(UnixSocketTest, RefusesAMessageWithoutADescriptor) {
  ASSERT_OK_AND_ASSIGN(auto pair, SocketPair());
  ASSERT_EQ(write(pair.first.get(), "x", 1), 1);
  EXPECT_THAT(ReceiveFd(pair.second.get(), nullptr),
              StatusIs(StatusCode::kInvalidArgument));
  pair.first.reset();
  EXPECT_THAT(ReceiveFd(pair.second.get(), nullptr),
              StatusIs(StatusCode::kUnavailable));
}

}  // namespace
}  // namespace berth
