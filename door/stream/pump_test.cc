#include "door/stream/pump.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "base/testing/status_matchers.h"
#include "base/thread.h"
#include "door/http/upgrade.h"
#include "door/stream/channel.h"
#include "door/stream/framed_channel.h"
#include "door/stream/raw_channel.h"
#include "door/stream/stream.h"

namespace berth::door {
namespace {

class Control : public sandbox::StreamSession::Control {
 public:
  Status Resize(const Context&, sandbox::TerminalSize size) override {
    width = size.width;
    return OkStatus();
  }
  Status Signal(const Context&, int) override { return OkStatus(); }
  StatusOr<int> Wait(const Context&) override { return 0; }
  Status CloseStdin(const Context&) override {
    ++closed;
    return OkStatus();
  }
  int pid() const override { return 0; }

  std::atomic<int> closed = 0;
  std::atomic<int> width = 0;
};

// A client on one side, a program's three streams on the other.
class PumpTest : public ::testing::Test {
 protected:
  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    client_.reset(ends[0]);
    server_.reset(ends[1]);
    ASSERT_EQ(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    const timeval limit = {10, 0};
    setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  }

  void Start(bool tty, PumpOptions options) {
    UniqueFd in;
    UniqueFd out;
    UniqueFd err;
    MakePipe(stdin_, in);
    MakePipe(out, stdout_);
    if (!tty) MakePipe(err, stderr_);
    session_ = sandbox::StreamSession(std::move(in), std::move(out),
                                      std::move(err), tty, control_);
    UpgradedConnection connection(server_.get(), "");
    if (channel_ != nullptr) {
      // The test's own.
    } else if (tty) {
      channel_ = std::make_unique<RawChannel>(std::move(connection));
    } else {
      channel_ = std::make_unique<FramedChannel>(std::move(connection));
    }
    StatusOr<Thread> thread =
        StartThread("pump", [this, options = std::move(options)]() mutable {
          end_ = Pump(ctx_, *channel_, session_, std::move(options));
          shutdown(server_.get(), SHUT_WR);
        });
    ASSERT_OK(thread.status());
    thread_ = *std::move(thread);
  }

  static void MakePipe(UniqueFd& reads, UniqueFd& writes) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    reads.reset(ends[0]);
    writes.reset(ends[1]);
  }

  StatusOr<PumpEnd> End() {
    thread_.Join();
    return end_;
  }

  // False if the other side takes no more.
  static bool Send(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = write(fd, bytes.data(), bytes.size());
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  static std::string ReadAll(int fd) {
    std::string all;
    char bytes[65536];
    ssize_t n;
    while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
      all.append(bytes, static_cast<size_t>(n));
    }
    return all;
  }

  const Context ctx_ = Context::Background().WithCancel();
  const std::shared_ptr<Control> control_ = std::make_shared<Control>();
  UniqueFd client_;
  UniqueFd server_;
  UniqueFd stdin_;   // the program reads it
  UniqueFd stdout_;  // the program writes it
  UniqueFd stderr_;
  sandbox::StreamSession session_;
  std::unique_ptr<StreamChannel> channel_;
  StatusOr<PumpEnd> end_ = PumpEnd::kClientGone;
  Thread thread_;
};

PumpOptions WithStdin() {
  PumpOptions options;
  options.want_stdin = true;
  return options;
}

TEST_F(PumpTest, CarriesBothOutputsFramed) {
  Start(false, PumpOptions());
  ASSERT_TRUE(Send(stdout_.get(), "out"));
  char first[8 + 3];
  ASSERT_EQ(recv(client_.get(), first, sizeof(first), MSG_WAITALL), 11);
  ASSERT_TRUE(Send(stderr_.get(), "err"));
  stdout_.reset();
  stderr_.reset();
  EXPECT_EQ(std::string(first, 11), Frame(Stream::kStdout, "out"));
  EXPECT_EQ(ReadAll(client_.get()), Frame(Stream::kStderr, "err"));
  EXPECT_EQ(*End(), PumpEnd::kOutputsEnded);
}

TEST_F(PumpTest, TheEndOfTheClientsInputIsTheProgramsAfterAllOfIt) {
  Start(false, WithStdin());
  const std::string text(300000, 'x');
  StatusOr<Thread> client = StartThread("client", [&] {
    EXPECT_TRUE(Send(client_.get(), text));
    shutdown(client_.get(), SHUT_WR);
  });
  ASSERT_OK(client.status());
  EXPECT_EQ(ReadAll(stdin_.get()).size(), text.size());
  stdout_.reset();
  stderr_.reset();
  EXPECT_EQ(*End(), PumpEnd::kOutputsEnded);
  EXPECT_EQ(control_->closed, 1);
}

// `yes | docker run -i busybox head -c 5`
TEST_F(PumpTest, AProgramThatEndsItsInputIsShownToTheEnd) {
  Start(false, WithStdin());
  StatusOr<Thread> client = StartThread("client", [&] {
    while (send(client_.get(), "yes\n", 4, MSG_NOSIGNAL) > 0) {
    }
  });
  ASSERT_OK(client.status());
  char some[5];
  ASSERT_GT(read(stdin_.get(), some, sizeof(some)), 0);
  stdin_.reset();
  usleep(20000);
  ASSERT_TRUE(Send(stdout_.get(), "yes\ny"));
  stdout_.reset();
  stderr_.reset();
  EXPECT_EQ(*End(), PumpEnd::kOutputsEnded);
  EXPECT_EQ(ReadAll(client_.get()), Frame(Stream::kStdout, "yes\ny"));
  shutdown(client_.get(), SHUT_RDWR);
  shutdown(server_.get(), SHUT_RDWR);
}

// Neither way waits for the other.
TEST_F(PumpTest, InputGoesOnWhileTheClientDoesNotRead) {
  Start(false, WithStdin());
  StatusOr<Thread> program = StartThread("program", [&] {
    EXPECT_TRUE(Send(stdout_.get(), std::string(2000000, 'o')));
    stdout_.reset();
    stderr_.reset();
  });
  ASSERT_OK(program.status());
  ASSERT_TRUE(Send(client_.get(), std::string(1000000, 'i').substr(0, 60000)));
  size_t got = 0;
  char bytes[65536];
  while (got < 60000) {
    const ssize_t n = read(stdin_.get(), bytes, sizeof(bytes));
    ASSERT_GT(n, 0);
    got += static_cast<size_t>(n);
  }
  EXPECT_GT(ReadAll(client_.get()).size(), 2000000u);
  EXPECT_EQ(*End(), PumpEnd::kOutputsEnded);
}

TEST_F(PumpTest, DetachesByKeysAfterWhatWasTypedBefore) {
  PumpOptions options = WithStdin();
  options.detach_keys = DetachKeys();
  Start(true, std::move(options));
  ASSERT_TRUE(Send(client_.get(), "ls\x10\x11never"));
  EXPECT_EQ(*End(), PumpEnd::kDetached);
  session_.stdin_fd().reset();
  EXPECT_EQ(ReadAll(stdin_.get()), "ls");
  EXPECT_EQ(control_->closed, 0);
}

TEST_F(PumpTest, WithoutKeysToDetachAllIsInput) {
  Start(true, WithStdin());
  ASSERT_TRUE(Send(client_.get(), "ls\x10\x11!"));
  char typed[5];
  ASSERT_EQ(read(stdin_.get(), typed, 5), 5);
  EXPECT_EQ(std::string(typed, 5), "ls\x10\x11!");
  client_.reset();
  EXPECT_EQ(*End(), PumpEnd::kClientGone);
}

TEST_F(PumpTest, EndsWithAQuietClientThatLeaves) {
  Start(false, WithStdin());
  client_.reset();
  EXPECT_EQ(*End(), PumpEnd::kClientGone);
}

TEST_F(PumpTest, EndsWithItsContext) {
  Start(false, WithStdin());
  ctx_.Cancel();
  EXPECT_THAT(End().status(), StatusIs(StatusCode::kCancelled));
}

// A protocol with all that one may have: letters are input, a digit is the
// terminal's width, '.' the end, '?' is to be answered, '!' is wrong.
class LetterChannel : public StreamChannel {
 public:
  using StreamChannel::StreamChannel;

 protected:
  std::string Encode(Stream stream, std::string_view bytes) override {
    return (stream == Stream::kStderr ? "e(" : "o(") + std::string(bytes) + ")";
  }
  StatusOr<std::optional<ChannelInput>> Decode(
      std::string_view received) override {
    ChannelInput input;
    input.ended = received.empty();
    for (const char c : received) {
      if (c == '!') return InvalidArgument("a wrong letter");
      if (c == '?') {
        PutAnswer("yes");
      } else if (c == '.') {
        input.ended = true;
      } else if (c >= '0' && c <= '9') {
        input.size = sandbox::TerminalSize();
        input.size->width = static_cast<uint16_t>(c - '0');
      } else {
        input.bytes += c;
      }
    }
    return input;
  }
  std::string EncodeEnd(const StreamEnd& end) override {
    if (!end.ok()) return "failed";
    return end->has_value() ? "end" + std::to_string(**end) : "left";
  }
};

TEST_F(PumpTest, CarriesAllThatAProtocolHas) {
  channel_ =
      std::make_unique<LetterChannel>(UpgradedConnection(server_.get(), "ab7"));
  Start(false, WithStdin());
  char typed[2];
  ASSERT_EQ(read(stdin_.get(), typed, 2), 2);
  EXPECT_EQ(std::string(typed, 2), "ab");
  EXPECT_EQ(control_->width, 7);
  ASSERT_TRUE(Send(client_.get(), "?c."));
  ASSERT_EQ(read(stdin_.get(), typed, 1), 1);
  EXPECT_EQ(read(stdin_.get(), typed, 1), 0);
  ASSERT_TRUE(Send(stderr_.get(), "x"));
  stdout_.reset();
  stderr_.reset();
  EXPECT_THAT(End(), IsOkAndHolds(PumpEnd::kOutputsEnded));
  EXPECT_EQ(ReadAll(client_.get()), "yese(x)");
  EXPECT_EQ(control_->closed, 1);
}

TEST_F(PumpTest, AClientThatBreaksTheProtocolIsGone) {
  channel_ =
      std::make_unique<LetterChannel>(UpgradedConnection(server_.get(), ""));
  Start(false, WithStdin());
  ASSERT_TRUE(Send(client_.get(), "!"));
  EXPECT_THAT(End(), IsOkAndHolds(PumpEnd::kClientGone));
}

TEST_F(PumpTest, AClientThatLeavesIsNoticedThoughTheProgramDoesNotRead) {
  channel_ =
      std::make_unique<LetterChannel>(UpgradedConnection(server_.get(), ""));
  Start(false, WithStdin());
  fcntl(client_.get(), F_SETFL, O_NONBLOCK);
  pollfd full = {client_.get(), POLLOUT, 0};
  while (poll(&full, 1, 200) > 0) {
    (void)!write(client_.get(), "inputinputinputinput", 20);
  }
  // TCP does not tell a client that has closed from one that reads on.
  shutdown(client_.get(), SHUT_WR);
  EXPECT_THAT(End(), IsOkAndHolds(PumpEnd::kClientGone));
}

TEST_F(PumpTest, TheTerminalsSizeIsHeardAfterTheEndOfTheInput) {
  channel_ =
      std::make_unique<LetterChannel>(UpgradedConnection(server_.get(), ""));
  Start(false, WithStdin());
  ASSERT_TRUE(Send(client_.get(), "."));
  char typed;
  EXPECT_EQ(read(stdin_.get(), &typed, 1), 0);
  ASSERT_TRUE(Send(client_.get(), "9?"));
  char answer[3];
  ASSERT_EQ(recv(client_.get(), answer, 3, MSG_WAITALL), 3);
  EXPECT_EQ(control_->width, 9);
  client_.reset();
  EXPECT_THAT(End(), IsOkAndHolds(PumpEnd::kClientGone));
}

TEST_F(PumpTest, EndsWhenNothingHappensForLong) {
  PumpOptions options = WithStdin();
  options.idle_limit = std::chrono::milliseconds(50);
  Start(false, std::move(options));
  EXPECT_THAT(End(), IsOkAndHolds(PumpEnd::kIdle));
}

TEST_F(PumpTest, TheExitStatusComesLast) {
  LetterChannel channel(UpgradedConnection(server_.get(), ""));
  channel.Put(Stream::kStdout, "x");
  EXPECT_FALSE(channel.Takes(Stream::kStdout));
  ASSERT_OK(channel.End(ctx_, 3));
  EXPECT_TRUE(channel.Takes(Stream::kStdout));
  shutdown(server_.get(), SHUT_WR);
  EXPECT_EQ(ReadAll(client_.get()), "o(x)end3");
}

}  // namespace
}  // namespace berth::door
