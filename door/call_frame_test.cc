#include "door/call_frame.h"

#include <glog/logging.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <stdexcept>
#include <string>

#include "base/context.h"
#include "base/status.h"
#include "base/testing/status_matchers.h"
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
  EXPECT_EQ(lines.text(), "");
  CallFrame(log, Context::Background(), "ListContainers", "")
      .Finish(Internal("broken"));
  CallFrame(log, Context::Background(), "StartContainer", "")
      .Finish(OkStatus());
  EXPECT_THAT(lines.text(),
              AllOf(HasSubstr("broken"), HasSubstr("method=StartContainer")));
}

}  // namespace
}  // namespace berth::door
