#include "base/io/event_loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "base/testing/status_matchers.h"

namespace berth {
namespace {

using std::chrono::milliseconds;

struct Pipe {
  Pipe() {
    int fds[2];
    EXPECT_EQ(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    reader.reset(fds[0]);
    writer.reset(fds[1]);
  }
  UniqueFd reader, writer;
};

TEST(EventLoopTest, CallsTheHandlerOfAReadableDescriptor) {
  ASSERT_OK_AND_ASSIGN(auto loop, EventLoop::Create());
  Pipe pipe;
  ASSERT_EQ(write(pipe.writer.get(), "x", 1), 1);
  uint32_t seen = 0;
  ASSERT_OK(loop->Add(pipe.reader.get(), EPOLLIN, [&](uint32_t events) {
    seen = events;
    loop->Stop();
  }));
  ASSERT_OK(loop->Run());
  EXPECT_EQ(seen, static_cast<uint32_t>(EPOLLIN));
}

TEST(EventLoopTest, DoesNotCallAHandlerRemovedInTheSameTurn) {
  ASSERT_OK_AND_ASSIGN(auto loop, EventLoop::Create());
  Pipe one, two;
  ASSERT_EQ(write(one.writer.get(), "x", 1), 1);
  ASSERT_EQ(write(two.writer.get(), "x", 1), 1);
  int calls = 0;
  // Both are ready at once; whoever comes first removes the other.
  ASSERT_OK(loop->Add(one.reader.get(), EPOLLIN, [&](uint32_t) {
    ++calls;
    loop->Remove(one.reader.get());
    loop->Remove(two.reader.get());
  }));
  ASSERT_OK(loop->Add(two.reader.get(), EPOLLIN, [&](uint32_t) {
    ++calls;
    loop->Remove(one.reader.get());
    loop->Remove(two.reader.get());
  }));
  loop->After(milliseconds(5), [&] { loop->Stop(); });
  ASSERT_OK(loop->Run());
  EXPECT_EQ(calls, 1);
}

TEST(EventLoopTest, RunsTimersInOrderAndNotTheCancelledOnes) {
  ASSERT_OK_AND_ASSIGN(auto loop, EventLoop::Create());
  std::vector<int> order;
  loop->After(milliseconds(10), [&] {
    order.push_back(2);
    loop->Stop();
  });
  loop->After(milliseconds(1), [&] { order.push_back(1); });
  const EventLoop::TimerId cancelled =
      loop->After(milliseconds(2), [&] { order.push_back(9); });
  loop->CancelTimer(cancelled);
  loop->After(Duration::max(), [&] { order.push_back(8); });
  ASSERT_OK(loop->Run());
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(EventLoopTest, RunsDeferredWorkAfterTheHandlers) {
  ASSERT_OK_AND_ASSIGN(auto loop, EventLoop::Create());
  std::vector<int> order;
  loop->Defer([&] {
    order.push_back(1);
    loop->Defer([&] {
      order.push_back(2);
      loop->Stop();
    });
  });
  ASSERT_OK(loop->Run());
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(EventLoopTest, DeliversSignals) {
  ASSERT_OK_AND_ASSIGN(UniqueFd signals, OpenSignalFd({SIGUSR1}));
  ASSERT_OK_AND_ASSIGN(auto loop, EventLoop::Create());
  bool seen = false;
  ASSERT_OK(loop->Add(signals.get(), EPOLLIN, [&](uint32_t) {
    seen = true;
    loop->Stop();
  }));
  raise(SIGUSR1);
  ASSERT_OK(loop->Run());
  EXPECT_TRUE(seen);
}

TEST(EventLoopTest, RefusesRegularFiles) {
  ASSERT_OK_AND_ASSIGN(auto loop, EventLoop::Create());
  UniqueFd file(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(loop->Add(file.get(), EPOLLIN, [](uint32_t) {}).ok());
}

}  // namespace
}  // namespace berth
