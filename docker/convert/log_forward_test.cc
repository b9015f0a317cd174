#include "docker/convert/log_forward.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/strings.h"
#include "base/testing/status_matchers.h"

namespace berth::docker {
namespace {

TEST(LogForwardTest, ReadsAddresses) {
  const auto read = [](const std::string& value) {
    LogForward forward;
    EXPECT_OK(ReadSyslogAddress(value, forward)) << value;
    return forward.address;
  };
  EXPECT_EQ(read(""), "");
  EXPECT_EQ(read("unix:///dev/log"), "unix:/dev/log");
  EXPECT_EQ(read("unixgram:///dev/log"), "unixgram:/dev/log");
  EXPECT_EQ(read("udp://192.0.2.1"), "udp:192.0.2.1:514");
  EXPECT_EQ(read("tcp://logs:1514"), "tcp:logs:1514");
  EXPECT_EQ(read("tcp://[fd00::1]:1514"), "tcp:fd00::1:1514");
  EXPECT_EQ(read("tcp://[fd00::1]"), "tcp:fd00::1:514");
  LogForward forward;
  for (const char* bad : {"nowhere", "http://x", "udp://", "unix://dev/log",
                          "udp://x:y", "tcp://x:70000", "tcp://[::1", "://"}) {
    EXPECT_THAT(ReadSyslogAddress(bad, forward),
                StatusIs(StatusCode::kInvalidArgument))
        << bad;
  }
  EXPECT_THAT(ReadSyslogAddress("tcp+tls://x:1", forward),
              StatusIs(StatusCode::kUnimplemented));
}

TEST(LogForwardTest, ReadsFormatsAndFacilities) {
  LogForward forward;
  EXPECT_OK(ReadSyslogFormat("rfc5424micro", forward));
  EXPECT_OK(ReadSyslogFacility("local7", forward));
  forward.address = "udp:::1:514";
  EXPECT_EQ(SyslogOption(forward, "t", "h"),
            "syslog=" + HexEncode("udp:::1:514") + ":rfc5424micro:23:74:68");
  EXPECT_OK(ReadSyslogFacility("7", forward));
  EXPECT_EQ(forward.facility, 7u);
  EXPECT_THAT(ReadSyslogFacility("24", forward),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(ReadSyslogFormat("odd", forward),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(LogForwardTest, TellsTheJournalOfTheContainer) {
  const std::string id(64, 'a');
  EXPECT_EQ(JournalOption({id, "web", "sha256:1", "nginx"}, "tag",
                          {{"_my.label", "1"}, {"two", "a\nb"}, {"__", "x"}}),
            "journal=" +
                HexEncode("CONTAINER_ID=aaaaaaaaaaaa\nCONTAINER_ID_FULL=" + id +
                          "\nCONTAINER_NAME=web\nCONTAINER_TAG=tag\n"
                          "IMAGE_NAME=nginx\nSYSLOG_IDENTIFIER=tag\n"
                          "MY_LABEL=1\nTWO\n" +
                          std::string("\3\0\0\0\0\0\0\0", 8) + "a\nb\n"));
}

}  // namespace
}  // namespace berth::docker
