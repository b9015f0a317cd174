#include "shim/wire/bootstrap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/testing/status_matchers.h"

namespace berth::shim {
namespace {

containerd::runc::v1::Options SomeOptions() {
  containerd::runc::v1::Options options;
  options.set_binary_name("/usr/sbin/runc");
  options.set_systemd_cgroup(true);
  return options;
}

TEST(StartInputTest, IsReadAsItWasWritten) {
  const std::string bytes = FormatStartInput("id1", "ns1", SomeOptions());
  ASSERT_OK_AND_ASSIGN(const StartInput input,
                       ParseStartInput(bytes, "id1", "ns1"));
  EXPECT_TRUE(input.bootstrap);
  EXPECT_EQ(input.options.binary_name(), "/usr/sbin/runc");
  EXPECT_TRUE(input.options.systemd_cgroup());
}

TEST(StartInputTest, TellsOptionsAloneFromParameters) {
  ASSERT_OK_AND_ASSIGN(
      const StartInput input,
      ParseStartInput(FormatOptions(SomeOptions()), "id1", "ns1"));
  EXPECT_FALSE(input.bootstrap);
  EXPECT_EQ(input.options.binary_name(), "/usr/sbin/runc");
}

TEST(StartInputTest, TakesNothingForDefaults) {
  ASSERT_OK_AND_ASSIGN(const StartInput input,
                       ParseStartInput("", "id1", "ns1"));
  EXPECT_FALSE(input.bootstrap);
  EXPECT_EQ(input.options.binary_name(), "");
}

TEST(StartInputTest, RefusesGarbage) {
  EXPECT_THAT(ParseStartInput("\xff\xff\xff\xff", "id1", "ns1"),
              StatusIs(StatusCode::kInvalidArgument));
  // An Any of a type that means nothing here.
  EXPECT_THAT(ParseStartInput("\x0a\x03"
                              "abc",
                              "id1", "ns1"),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(StartOutputTest, IsReadInEveryForm) {
  const ShimAddress address{"/run/s/abc", 3};
  for (const StartFormat format :
       {StartFormat::kPlain, StartFormat::kJson, StartFormat::kBootstrap}) {
    ASSERT_OK_AND_ASSIGN(const ShimAddress parsed,
                         ParseStartOutput(FormatStartOutput(address, format)));
    EXPECT_EQ(parsed.path, address.path);
    EXPECT_EQ(parsed.version, format == StartFormat::kPlain ? 2 : 3);
  }
}

TEST(StartOutputTest, RefusesWhatNobodyCanCall) {
  EXPECT_THAT(ParseStartOutput(""), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(ParseStartOutput("level=error msg=\"no\""),
              StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(ParseStartOutput(
                  R"({"version":3,"address":"unix:///x","protocol":"grpc"})"),
              StatusIs(StatusCode::kUnimplemented));
  EXPECT_THAT(ParseStartOutput(
                  R"({"version":4,"address":"unix:///x","protocol":"ttrpc"})"),
              StatusIs(StatusCode::kUnimplemented));
  EXPECT_FALSE(ParseStartOutput("{\"version\":").ok());
}

TEST(SocketNameTest, DependsOnAllThree) {
  const std::string name = SocketName("/a", "b", "c");
  EXPECT_EQ(name.size(), 32u);
  EXPECT_EQ(name, SocketName("/a", "b", "c"));
  EXPECT_NE(name, SocketName("/a", "b", "d"));
  EXPECT_NE(name, SocketName("/a", "bc", ""));
  EXPECT_NE(name, SocketName("/x", "b", "c"));
}

}  // namespace
}  // namespace berth::shim
