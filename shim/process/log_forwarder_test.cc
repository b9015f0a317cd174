#include "shim/process/log_forwarder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>

#include "base/strings.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "shim/process/log_writer.h"

namespace berth::shim {
namespace {

using ::testing::MatchesRegex;

const std::string kTime = "2026-01-02T03:04:05Z";

std::string Syslog(const std::string& address, const std::string& format) {
  return HexEncode(address) + ":" + format + ":3:" + HexEncode("tag") + ":" +
         HexEncode("host");
}

class LogForwarderTest : public ::testing::Test {
 protected:
  UniqueFd Listen(int type) {
    UniqueFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    sockaddr_un name = {};
    name.sun_family = AF_UNIX;
    const std::string path = dir_.Path("socket");
    memcpy(name.sun_path, path.data(), path.size());
    unlink(path.c_str());
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&name), sizeof(name)),
              0);
    if (type == SOCK_STREAM) {
      EXPECT_EQ(listen(fd.get(), 5), 0);
    }
    return fd;
  }
  static std::string Receive(int fd) {
    char bytes[65536];
    const ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
    return n < 0 ? "" : std::string(bytes, static_cast<size_t>(n));
  }
  std::string Address(const char* kind) {
    return std::string(kind) + ":" + dir_.Path("socket");
  }

  TempDir dir_;
};

TEST_F(LogForwarderTest, WritesEachFormat) {
  const auto message = [&](const std::string& format, bool error) {
    const auto target = ParseSyslog(Syslog("udp:127.0.0.1:514", format));
    EXPECT_OK(target);
    return SyslogMessage(*target, error, "a line");
  };
  const std::string pid = std::to_string(getpid());
  EXPECT_THAT(message("unix", false),
              MatchesRegex("<30>[A-Z][a-z][a-z] [ 0-9][0-9] [0-9:]+ tag.[0-9]+"
                           ".: a line"));
  EXPECT_THAT(message("rfc3164", true),
              MatchesRegex("<27>[A-Z][a-z][a-z] [ 0-9][0-9] [0-9:]+ host "
                           "tag.[0-9]+.: a line"));
  EXPECT_THAT(message("rfc5424", false),
              MatchesRegex("<30>1 [0-9-]+T[0-9:]+(Z|[+-][0-9:]+) host tag " +
                           pid + " tag - a line"));
  EXPECT_THAT(message("rfc5424micro", false),
              MatchesRegex("<30>1 [0-9-]+T[0-9:]+[.][0-9]+(Z|[+-][0-9:]+) host "
                           "tag " +
                           pid + " tag - a line"));
}

TEST_F(LogForwarderTest, RefusesWhatItCannotRead) {
  for (const std::string& text :
       {std::string(""), std::string("::::"),
        Syslog("udp:127.0.0.1:514", "odd"), Syslog("udp:127.0.0.1", "unix"),
        Syslog("udp:host:514", "unix"), Syslog("udp:127.0.0.1:0", "unix"),
        Syslog("odd:x", "unix"), Syslog("unix:", "unix"),
        Syslog("unix:/" + std::string(200, 'x'), "unix"),
        std::string("7:unix:3::"), std::string("zz:unix:3::")}) {
    EXPECT_THAT(ParseSyslog(text), StatusIs(StatusCode::kInvalidArgument))
        << text;
  }
  EXPECT_OK(ParseSyslog(Syslog("tcp:::1:514", "unix")));
  EXPECT_THAT(ParseJournal("x"), StatusIs(StatusCode::kInvalidArgument));
}

TEST_F(LogForwarderTest, SendsDatagrams) {
  const UniqueFd server = Listen(SOCK_DGRAM);
  ASSERT_OK_AND_ASSIGN(
      const LogTarget target,
      ParseLogUri("berth-log://" + dir_.Path("log") + "?format=json-file&" +
                  "syslog=" + Syslog(Address("unixgram"), "rfc3164")));
  ASSERT_OK_AND_ASSIGN(const auto writer, LogWriter::Open(target));
  writer->Write(LogWriter::Stream::kStdout, "one\ntwo\n", 0);
  writer->Write(LogWriter::Stream::kStderr, "three", 0);
  writer->Finish(LogWriter::Stream::kStderr, 0);
  EXPECT_THAT(Receive(server.get()), MatchesRegex("<30>.*: one\n"));
  EXPECT_THAT(Receive(server.get()), MatchesRegex("<30>.*: two\n"));
  EXPECT_THAT(Receive(server.get()), MatchesRegex("<27>.*: three\n"));
}

TEST_F(LogForwarderTest, ConnectsAgain) {
  UniqueFd server = Listen(SOCK_STREAM);
  ASSERT_OK_AND_ASSIGN(const ForwardTarget target,
                       ParseSyslog(Syslog(Address("unix"), "unix")));
  ASSERT_OK_AND_ASSIGN(const auto forwarder, LogForwarder::Open(target));
  UniqueFd client(accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC));
  forwarder->Send(false, "one", true, kTime);
  EXPECT_THAT(Receive(client.get()), MatchesRegex("<30>.*: one\n"));
  client.reset();
  server = Listen(SOCK_STREAM);
  forwarder->Send(false, "two", true, kTime);
  client.reset(accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_THAT(Receive(client.get()), MatchesRegex("<30>.*: two\n"));
  EXPECT_EQ(forwarder->dropped(), 0u);
  client.reset();
  server.reset();
  forwarder->Send(false, "three", true, kTime);
  EXPECT_EQ(forwarder->dropped(), 1u);
  // So soon after it is not even tried.
  server = Listen(SOCK_STREAM);
  forwarder->Send(false, "four", true, kTime);
  EXPECT_EQ(forwarder->dropped(), 2u);
}

TEST_F(LogForwarderTest, LosesWhatNobodyTakes) {
  const UniqueFd server = Listen(SOCK_DGRAM);
  ASSERT_OK_AND_ASSIGN(const ForwardTarget target,
                       ParseSyslog(Syslog(Address("unixgram"), "unix")));
  ASSERT_OK_AND_ASSIGN(const auto forwarder, LogForwarder::Open(target));
  // It is waited for once only.
  for (int i = 0; i < 2000; ++i) forwarder->Send(false, "x", true, kTime);
  EXPECT_GT(forwarder->dropped(), 0u);
  Receive(server.get());
  const uint64_t before = forwarder->dropped();
  forwarder->Send(false, "x", true, kTime);
  EXPECT_EQ(forwarder->dropped(), before);
}

// One that takes a record now and then must not hold the shim up for each.
TEST_F(LogForwarderTest, WaitsForASlowOneWithinBounds) {
  const UniqueFd server = Listen(SOCK_DGRAM);
  ASSERT_OK_AND_ASSIGN(const ForwardTarget target,
                       ParseSyslog(Syslog(Address("unixgram"), "unix")));
  ASSERT_OK_AND_ASSIGN(const auto forwarder, LogForwarder::Open(target));
  std::atomic<bool> over = false;
  std::thread daemon([&] {
    while (!over) {
      std::this_thread::sleep_for(std::chrono::milliseconds(60));
      char bytes[256];
      recv(server.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
    }
  });
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 2000; ++i) forwarder->Send(false, "x", true, kTime);
  const auto took = std::chrono::steady_clock::now() - begin;
  over = true;
  daemon.join();
  EXPECT_LT(took, std::chrono::seconds(2)) << "2000 records";
  EXPECT_GT(forwarder->dropped(), 0u);
}

TEST_F(LogForwarderTest, NeedsSomebodyAtTheStart) {
  ASSERT_OK_AND_ASSIGN(const ForwardTarget target,
                       ParseSyslog(Syslog(Address("unixgram"), "unix")));
  EXPECT_FALSE(LogForwarder::Open(target).ok());
}

}  // namespace
}  // namespace berth::shim
