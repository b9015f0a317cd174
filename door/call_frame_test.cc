#include "door/call_frame.h"

#include <glog/logging.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <ctime>
#include <stdexcept>
#include <string>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"
#include "base/testing/status_matchers.h"
#include "door/request_counts.h"
#include "door/request_log.h"

namespace berth::door {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

// What is logged while it lives.
class Lines : public google::LogSink {
 public:
  Lines() { google::AddLogSink(this); }
  ~Lines() override { google::RemoveLogSink(this); }
  void send(google::LogSeverity, const char*, const char*, int,
            const google::LogMessageTime&, const char* message,
            size_t size) override {
    text_ += std::string(message, size) + "\n";
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

TEST(CallFrameTest, AnExceptionIsTheRequestsError) {
  const RequestLog log("docker", true);
  const CallFrame frame(log, Context::Background(), "GET", "/x");
  EXPECT_THAT(frame.Run([]() -> Status { throw std::runtime_error("odd"); }),
              StatusIs(StatusCode::kInternal, HasSubstr("odd")));
  EXPECT_OK(frame.Run([] { return OkStatus(); }));
}

TEST(CallFrameTest, DoesNotRunForAClientThatHasGone) {
  const RequestLog log("docker", true);
  const CallFrame frame(log, Context::Background().WithCancel(), "GET", "/x");
  frame.context().Cancel();
  bool ran = false;
  EXPECT_THAT(frame.Run([&] {
    ran = true;
    return OkStatus();
  }),
              StatusIs(StatusCode::kCancelled));
  EXPECT_FALSE(ran);
}

TEST(CallFrameTest, WritesOneLine) {
  const RequestLog log("cri", true);
  const Lines lines;
  CallFrame frame(log, Context::Background("0123"), "StartContainer", "c0");
  frame.SetObject("");
  frame.Finish(NotFound("no \"such\"\nthing"));
  EXPECT_THAT(lines.text(),
              MatchesRegex("cri method=StartContainer request=0123 object=c0 "
                           "ms=[0-9.]+ outcome=NOT_FOUND error=.*\n"));
  EXPECT_EQ(lines.text().find('\n'), lines.text().size() - 1);
}

TEST(CallFrameTest, WhatAClientSendsIsNoLineOfOurs) {
  const RequestLog log("docker", true);
  const Lines lines;
  CallFrame frame(log, Context::Background(""), "G\nT", "/a\ndocker method=X");
  frame.Finish(OkStatus());
  EXPECT_THAT(lines.text(),
              AllOf(HasSubstr("docker method=G"), HasSubstr("outcome=OK"),
                    Not(HasSubstr("request="))));
  EXPECT_EQ(lines.text().find('\n'), lines.text().size() - 1);
}

TEST(CallFrameTest, LeavesOutWhatOnlyAsks) {
  const RequestLog log("cri", false);
  const Lines lines;
  CallFrame(log, Context::Background(), "ListContainers", "")
      .Finish(OkStatus());
  CallFrame(log, Context::Background(), "GET", "/metrics").Finish(OkStatus());
  EXPECT_EQ(lines.text(), "");
  CallFrame(log, Context::Background(), "ListContainers", "")
      .Finish(Internal("broken"));
  CallFrame(log, Context::Background(), "StartContainer", "")
      .Finish(OkStatus());
  EXPECT_THAT(lines.text(),
              AllOf(HasSubstr("broken"), HasSubstr("method=StartContainer")));
}

std::string Text(const RequestCounts& counts) {
  std::string text;
  for (const RequestCounts::Count& one : counts.Read()) {
    text += one.door + " " + one.method + " " +
            absl::StatusCodeToString(one.code) + " " +
            std::to_string(one.requests) + "\n";
    EXPECT_GE(one.time.count(), 0);
  }
  return text;
}

TEST(CallFrameTest, CountsEachRequestWhetherItHasALineOrNot) {
  RequestCounts counts;
  const RequestLog cri("cri", false, &counts);
  const RequestLog docker("docker", true, &counts);
  const auto finish = [](const RequestLog& log, const std::string& method,
                         const Status& status) {
    CallFrame(log, Context::Background(), method, "").Finish(status);
  };
  finish(docker, "GET", OkStatus());
  finish(cri, "ListContainers", OkStatus());
  finish(cri, "ListContainers", OkStatus());
  finish(cri, "ListContainers", Internal("broken"));
  EXPECT_EQ(Text(counts),
            "cri ListContainers OK 2\n"
            "cri ListContainers INTERNAL 1\n"
            "docker GET OK 1\n");
}

TEST(RequestCountsTest, AddsUpTime) {
  RequestCounts counts;
  counts.Add("cri", "Version", StatusCode::kOk, std::chrono::seconds(2));
  counts.Add("cri", "Version", StatusCode::kOk, std::chrono::seconds(3));
  ASSERT_EQ(counts.Read().size(), 1u);
  EXPECT_EQ(counts.Read()[0].time, std::chrono::seconds(5));
}

TEST(RequestCountsTest, KeepsNoMoreMethodsThanAClientIsWorth) {
  RequestCounts counts;
  const auto add = [&](const std::string& method) {
    counts.Add("docker", method, StatusCode::kOk, Duration(1));
  };
  add(std::string(100'000, 'X'));
  for (int i = 0; i < 1000; ++i) add("M" + std::to_string(i));
  add("M0");  // one that was there before
  uint64_t requests = 0;
  for (const RequestCounts::Count& one : counts.Read()) {
    EXPECT_LE(one.method.size(), 64u);
    EXPECT_EQ(one.requests, one.method == "M0"      ? 2u
                            : one.method == "other" ? 938u
                                                    : 1u);
    requests += one.requests;
  }
  EXPECT_EQ(requests, 1002u);
  EXPECT_EQ(counts.Read().size(), 64u);
}

}  // namespace
}  // namespace berth::door
