#include "shim/process/stdio.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth::shim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::EndsWith;

// The test plays both sides: the process, with the descriptors that Open
// hands out, and the client, with its ends of the fifos.
class StdioTest : public ::testing::Test {
 protected:
  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);
    ASSERT_OK_AND_ASSIGN(loop_, EventLoop::Create());
    stdio_ = std::make_shared<ProcessStdio>(*loop_);
  }

  std::string Fifo(const std::string& name) {
    EXPECT_EQ(mkfifo(dir_.Path(name).c_str(), 0600), 0);
    return dir_.Path(name);
  }
  UniqueFd OpenEnd(const std::string& name, int flags) {
    return UniqueFd(
        open(dir_.Path(name).c_str(), flags | O_NONBLOCK | O_CLOEXEC));
  }

  void Open(const Stdio& uris) {
    ASSERT_OK_AND_ASSIGN(process_, stdio_->Open(uris));
    ASSERT_OK(stdio_->Begin(UniqueFd()));
  }

  // With a pty for its terminal, whose path it returns. Nobody has it open.
  std::string OpenTerminal(const Stdio& uris) {
    EXPECT_OK(stdio_->Open(uris));
    UniqueFd master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    EXPECT_TRUE(master.valid());
    EXPECT_EQ(grantpt(master.get()), 0);
    EXPECT_EQ(unlockpt(master.get()), 0);
    const std::string path = ptsname(master.get());
    OpenSlave(path);  // before that nothing hangs up
    EXPECT_OK(stdio_->Begin(std::move(master)));
    return path;
  }
  static UniqueFd OpenSlave(const std::string& path) {
    UniqueFd slave(
        open(path.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
    termios modes{};
    EXPECT_EQ(tcgetattr(slave.get(), &modes), 0);
    cfmakeraw(&modes);
    EXPECT_EQ(tcsetattr(slave.get(), TCSANOW, &modes), 0);
    return slave;
  }

  // What the loop needs of the processor for some turns, in milliseconds.
  double TurnsCost() {
    const clock_t begin = clock();
    for (int i = 0; i < 10; ++i) Turn();
    return 1000.0 * static_cast<double>(clock() - begin) / CLOCKS_PER_SEC;
  }

  // Lets the loop work until there is nothing to do at once.
  void Turn() {
    loop_->After(milliseconds(20), [this] { loop_->Stop(); });
    ASSERT_OK(loop_->Run());
  }

  static std::string ReadAvailable(int fd) {
    std::string text(256 * 1024, '\0');
    const ssize_t n = read(fd, text.data(), text.size());
    text.resize(n < 0 ? 0 : static_cast<size_t>(n));
    return text;
  }
  static void Put(int fd, const std::string& text) {
    ASSERT_EQ(write(fd, text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
  }
  static bool AtEnd(int fd) {
    char byte;
    return read(fd, &byte, 1) == 0;
  }

  TempDir dir_;
  std::unique_ptr<EventLoop> loop_;
  std::shared_ptr<ProcessStdio> stdio_;
  ProcessFds process_;
};

TEST_F(StdioTest, ConnectsEmptyStreamsToNothing) {
  Open({});
  EXPECT_TRUE(AtEnd(process_.in.get()));
  Put(process_.out.get(), "gone");
  Put(process_.err.get(), "gone");
  bool closed = false;
  stdio_->WhenClosed(seconds(10), [&] { closed = true; });
  Turn();
  EXPECT_TRUE(closed);
}

TEST_F(StdioTest, CarriesOutputToFifosAndEndsThem) {
  Fifo("out");
  Fifo("err");
  UniqueFd out = OpenEnd("out", O_RDONLY), err = OpenEnd("err", O_RDONLY);
  Open({"", dir_.Path("out"), dir_.Path("err"), false});
  Put(process_.out.get(), "to out");
  Put(process_.err.get(), "to err");
  process_ = ProcessFds();
  Turn();
  EXPECT_EQ(ReadAvailable(out.get()), "to out");
  EXPECT_EQ(ReadAvailable(err.get()), "to err");
  EXPECT_TRUE(AtEnd(out.get()));
  EXPECT_TRUE(AtEnd(err.get()));
}

TEST_F(StdioTest, LetsTheClientOfAFifoComeAndGo) {
  Fifo("out");
  Open({"", dir_.Path("out"), "", false});
  Put(process_.out.get(), "before ");
  Turn();
  Put(process_.out.get(), "and after");
  Turn();
  UniqueFd late = OpenEnd("out", O_RDONLY);
  EXPECT_EQ(ReadAvailable(late.get()), "before and after");
}

TEST_F(StdioTest, HoldsTheProcessBackWhileAReaderIsSlow) {
  Fifo("out");
  UniqueFd out = OpenEnd("out", O_RDONLY);
  Open({"", dir_.Path("out"), "", false});
  fcntl(process_.out.get(), F_SETFL, O_NONBLOCK);
  const std::string block(4096, 'x');
  size_t sent = 0;
  // Fifo and pipe hold 64 KiB each, and the pump one read: then it must stop.
  for (int i = 0; i < 200; ++i) {
    if (write(process_.out.get(), block.data(), block.size()) > 0) {
      sent += block.size();
    } else {
      Turn();
    }
  }
  EXPECT_LT(sent, 300'000u);
  process_ = ProcessFds();
  size_t received = 0;
  for (int i = 0; i < 50 && received < sent; ++i) {
    Turn();
    received += ReadAvailable(out.get()).size();
  }
  EXPECT_EQ(received, sent) << "bytes were lost";
  Turn();
  EXPECT_TRUE(AtEnd(out.get()));
}

TEST_F(StdioTest, SharesOutputWithTheAttachedAndForgetsThemWhenTheyGo) {
  const std::string uri = "berth-log://" + dir_.Path("log") + "?format=cri";
  Open({"", uri, uri, false});
  Put(process_.out.get(), "early\n");
  Turn();
  Fifo("a");
  UniqueFd attached = OpenEnd("a", O_RDONLY);
  ASSERT_OK(stdio_->Attach({"", dir_.Path("a"), "", false}));
  Put(process_.out.get(), "late\n");
  Turn();
  EXPECT_EQ(ReadAvailable(attached.get()), "late\n");
  attached.reset();
  Turn();
  // More than a fifo holds: nobody must be waiting for it.
  for (int i = 0; i < 50; ++i) {
    Put(process_.out.get(), std::string(4095, 'y') + "\n");
    Turn();
  }
  EXPECT_GT(dir_.Read("log").size(), 200'000u);
}

TEST_F(StdioTest, LetsTheProcessGoOnWhenItsClientsAreGone) {
  Stdio uris;
  uris.in = Fifo("in");
  uris.out = Fifo("out");
  Open(uris);
  ASSERT_EQ(fcntl(process_.out.get(), F_SETFL, O_NONBLOCK), 0);
  ASSERT_EQ(fcntl(process_.in.get(), F_SETFL, O_NONBLOCK), 0);
  // Nobody reads the fifo: it and the pipe are full in the end.
  const std::string bytes(4096, 'x');
  const auto put_all = [&] {
    for (int i = 0; i < 100; ++i) {
      if (write(process_.out.get(), bytes.data(), bytes.size()) < 0) {
        return false;
      }
      Turn();
    }
    return true;
  };
  EXPECT_FALSE(put_all());
  EXPECT_FALSE(AtEnd(process_.in.get()));
  stdio_->LetGo();
  Turn();
  EXPECT_TRUE(put_all());
  EXPECT_TRUE(AtEnd(process_.in.get()));
}

TEST_F(StdioTest, RefusesToAttachWithoutAReader) {
  const std::string uri = "berth-log://" + dir_.Path("log") + "?format=cri";
  Open({"", uri, uri, false});
  Fifo("a");
  EXPECT_FALSE(stdio_->Attach({"", dir_.Path("a"), "", false}).ok());
  dir_.Write("file", "");
  EXPECT_THAT(stdio_->Attach({"", dir_.Path("file"), "", false}),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST_F(StdioTest, EndsInputOnlyWhenItIsClosedAndItsWriterHasGone) {
  Fifo("in");
  Open({dir_.Path("in"), "", "", false});
  fcntl(process_.in.get(), F_SETFL, O_NONBLOCK);
  {
    UniqueFd writer = OpenEnd("in", O_WRONLY);
    Put(writer.get(), "one");
    Turn();
  }
  EXPECT_EQ(ReadAvailable(process_.in.get()), "one");
  Turn();
  EXPECT_FALSE(AtEnd(process_.in.get())) << "another client may come";
  UniqueFd writer = OpenEnd("in", O_WRONLY);
  stdio_->CloseStdin();
  Put(writer.get(), "two");
  Turn();
  EXPECT_EQ(ReadAvailable(process_.in.get()), "two");
  EXPECT_FALSE(AtEnd(process_.in.get()));
  writer.reset();
  Turn();
  EXPECT_TRUE(AtEnd(process_.in.get()));
}

TEST_F(StdioTest, PassesOnMoreInputThanAPipeHolds) {
  Fifo("in");
  Open({dir_.Path("in"), "", "", false});
  fcntl(process_.in.get(), F_SETFL, O_NONBLOCK);
  UniqueFd writer = OpenEnd("in", O_WRONLY);
  stdio_->CloseStdin();
  const std::string block(4096, 'z');
  size_t sent = 0, received = 0;
  while (sent < 500'000) {
    const ssize_t n = write(writer.get(), block.data(), block.size());
    if (n > 0) {
      sent += static_cast<size_t>(n);
      continue;
    }
    Turn();
    received += ReadAvailable(process_.in.get()).size();
  }
  writer.reset();
  for (int i = 0; i < 50 && received < sent; ++i) {
    Turn();
    received += ReadAvailable(process_.in.get()).size();
  }
  EXPECT_EQ(received, sent);
  Turn();
  EXPECT_TRUE(AtEnd(process_.in.get()));
}

TEST_F(StdioTest, OutlivesAProcessThatReadsNoInput) {
  Fifo("in");
  Open({dir_.Path("in"), "", "", false});
  process_.in.reset();
  UniqueFd writer = OpenEnd("in", O_WRONLY);
  Put(writer.get(), "nobody wants this");
  Turn();
  Turn();
}

TEST_F(StdioTest, CarriesATerminalThatIsClosedAndOpenedAgain) {
  Fifo("in");
  Fifo("out");
  const UniqueFd out = OpenEnd("out", O_RDONLY);
  const std::string path =
      OpenTerminal({dir_.Path("in"), dir_.Path("out"), "", true});
  const UniqueFd writer = OpenEnd("in", O_WRONLY);
  for (const std::string text : {"one", "two", "three"}) {
    EXPECT_LT(TurnsCost(), 40) << "it spins while nobody has the terminal";
    Put(writer.get(), "early ");  // kept by the kernel, or lost
    Turn();
    const UniqueFd slave = OpenSlave(path);
    Put(slave.get(), text);
    Turn();
    EXPECT_EQ(ReadAvailable(out.get()), text);
    Put(writer.get(), text);
    Turn();
    EXPECT_THAT(ReadAvailable(slave.get()), EndsWith(text));
  }
  EXPECT_LT(TurnsCost(), 40);
  EXPECT_FALSE(AtEnd(out.get()));
  // The process has exited: now it is the end.
  stdio_->ReadNow();
  bool closed = false;
  stdio_->WhenClosed(seconds(100), [&] { closed = true; });
  Turn();
  EXPECT_TRUE(closed);
  EXPECT_TRUE(AtEnd(out.get()));
}

// A process in the background may go on to use the terminal.
TEST_F(StdioTest, EndsATerminalWithItsLastUserAfterTheExit) {
  Fifo("out");
  const UniqueFd out = OpenEnd("out", O_RDONLY);
  const std::string path = OpenTerminal({"", dir_.Path("out"), "", true});
  UniqueFd slave = OpenSlave(path);
  fcntl(slave.get(), F_SETFL, 0);
  Put(slave.get(), std::string(3000, 'x'));
  stdio_->ReadNow();
  bool closed = false;
  stdio_->WhenClosed(seconds(100), [&] { closed = true; });
  Put(slave.get(), "last");
  Turn();
  EXPECT_FALSE(closed);
  slave.reset();
  Turn();
  EXPECT_TRUE(closed);
  EXPECT_EQ(ReadAvailable(out.get()), std::string(3000, 'x') + "last");
  EXPECT_TRUE(AtEnd(out.get()));
}

// Told of once, it is read to its end all the same.
TEST_F(StdioTest, ReadsAllOfATerminalBehindASlowReader) {
  Fifo("out");
  const UniqueFd out = OpenEnd("out", O_RDONLY);
  const std::string path = OpenTerminal({"", dir_.Path("out"), "", true});
  UniqueFd slave = OpenSlave(path);
  const std::string block(1000, 'x');
  size_t sent = 0, received = 0;
  while (sent < 300'000) {
    const ssize_t n = write(slave.get(), block.data(), block.size());
    if (n > 0) {
      sent += static_cast<size_t>(n);
      continue;
    }
    Turn();
    if (write(slave.get(), "x", 1) > 0) {
      ++sent;
    } else {
      received += ReadAvailable(out.get()).size();
    }
  }
  slave.reset();
  stdio_->ReadNow();
  for (int i = 0; i < 50 && received < sent; ++i) {
    Turn();
    received += ReadAvailable(out.get()).size();
  }
  EXPECT_EQ(received, sent);
  Turn();
  EXPECT_TRUE(AtEnd(out.get()));
}

TEST_F(StdioTest, CutsOffOutputThatDoesNotEnd) {
  const std::string uri = "berth-log://" + dir_.Path("log") + "?format=cri";
  Open({"", uri, uri, false});
  Put(process_.out.get(), "kept");  // and the pipe stays open
  bool closed = false;
  stdio_->WhenClosed(milliseconds(50), [&] {
    closed = true;
    loop_->Stop();
  });
  ASSERT_OK(loop_->Run());
  EXPECT_TRUE(closed);
  EXPECT_NE(dir_.Read("log").find(" stdout P kept\n"), std::string::npos);
}

TEST_F(StdioTest, TellsAllWhoWaitForTheEnd) {
  const std::string uri = "berth-log://" + dir_.Path("log") + "?format=cri";
  Open({"", uri, uri, false});
  std::string told;
  stdio_->WhenClosed(milliseconds(50), [&] { told += "a"; });
  stdio_->WhenClosed(seconds(100), [&] {
    told += "b";
    loop_->Stop();
  });
  loop_->After(seconds(10), [this] { loop_->Stop(); });
  ASSERT_OK(loop_->Run());
  EXPECT_EQ(told, "ab");
}

TEST_F(StdioTest, WritesTheFirstBytesToAFileAndDrainsTheRest) {
  dir_.Write("out", "");
  dir_.Write("err", "");
  ASSERT_OK_AND_ASSIGN(
      process_, stdio_->OpenFiles({dir_.Path("out"), dir_.Path("err"), 10}));
  ASSERT_OK(stdio_->Begin(UniqueFd()));
  Put(process_.out.get(), "0123456");
  Turn();
  Put(process_.out.get(), "789abcdef");
  Put(process_.err.get(), "e");
  process_ = ProcessFds();
  bool closed = false;
  stdio_->WhenClosed(seconds(10), [&] { closed = true; });
  Turn();
  EXPECT_TRUE(closed);
  EXPECT_EQ(dir_.Read("out"), "0123456789");
  EXPECT_EQ(stdio_->out_bytes(), 10u);
  EXPECT_EQ(stdio_->err_bytes(), 1u);
}

TEST_F(StdioTest, ReadsWhatAnotherShimWrites) {
  const std::string uri = "berth-log://" + dir_.Path("log") + "?format=cri";
  ASSERT_OK_AND_ASSIGN(
      const Stdio fifos,
      stdio_->OpenFifos({Fifo("in"), uri, uri, false}, dir_.path()));
  ASSERT_OK(stdio_->Begin(UniqueFd()));
  EXPECT_EQ(fifos.in, dir_.Path("in"));
  UniqueFd input = OpenEnd("in", O_RDONLY);
  {
    UniqueFd out(open(fifos.out.c_str(), O_WRONLY | O_CLOEXEC));
    Put(out.get(), "line\nrest");
    Fifo("late");
    UniqueFd late = OpenEnd("late", O_RDONLY);
    ASSERT_OK(stdio_->Attach({"", dir_.Path("late"), "", false}));
    Turn();
    EXPECT_EQ(ReadAvailable(late.get()), "line\nrest");
  }
  // Its input ends when it is told to, not with a writer that leaves.
  Put(OpenEnd("in", O_WRONLY).get(), "x");
  EXPECT_EQ(ReadAvailable(input.get()), "x");
  EXPECT_FALSE(AtEnd(input.get()));
  stdio_->CloseStdin();
  EXPECT_TRUE(AtEnd(input.get()));
  // Nobody has ever opened the other output: that is no reason to wait.
  bool closed = false;
  stdio_->ReadNow();
  stdio_->WhenClosed(seconds(100), [&] { closed = true; });
  Turn();
  EXPECT_TRUE(closed);
  const std::string log = dir_.Read("log");
  EXPECT_NE(log.find(" stdout F line\n"), std::string::npos) << log;
  EXPECT_NE(log.find(" stdout P rest\n"), std::string::npos) << log;
}

TEST_F(StdioTest, NamesWhatItCannotOpen) {
  EXPECT_THAT(stdio_->Open({"", "binary:///bin/x", "", false}),
              StatusIs(StatusCode::kUnimplemented));
  EXPECT_THAT(stdio_->Open({"", "", "/x", true}),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(stdio_->Open({dir_.Path("none"), "", "", false}),
              StatusIs(StatusCode::kNotFound));
}

}  // namespace
}  // namespace berth::shim
