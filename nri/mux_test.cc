#include "nri/mux.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/testing/status_matchers.h"

namespace berth::nri {
namespace {

using ::testing::HasSubstr;

std::vector<MuxFrame> ParseAll(const std::string& bytes, size_t step) {
  MuxParser parser;
  std::vector<MuxFrame> frames;
  for (size_t at = 0; at < bytes.size(); at += step) {
    parser.Feed(std::string_view(bytes).substr(at, step));
    while (true) {
      const StatusOr<std::optional<MuxFrame>> frame = parser.Next();
      EXPECT_OK(frame);
      if (!frame.ok() || !frame->has_value()) break;
      frames.push_back(**frame);
    }
  }
  return frames;
}

TEST(MuxTest, AShortMessageIsOneFrame) {
  const std::string bytes = EncodeMux(kRuntimeConnection, "abc");
  EXPECT_EQ(bytes, std::string("\0\0\0\2\0\0\0\3abc", 11));
  const std::vector<MuxFrame> frames = ParseAll(bytes, 1);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].connection, kRuntimeConnection);
  EXPECT_EQ(frames[0].payload, "abc");
}

TEST(MuxTest, ALongMessageIsTwoFramesTheFirstAsLongAsAReadersBuffer) {
  const std::string message(100000, 'x');
  const std::vector<MuxFrame> frames =
      ParseAll(EncodeMux(kPluginConnection, message), 977);
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].payload.size(), 4096u);
  EXPECT_EQ(frames[0].payload + frames[1].payload, message);
}

TEST(MuxTest, AnEmptyPayloadIsAFrame) {
  const std::vector<MuxFrame> frames =
      ParseAll(std::string("\0\0\0\7\0\0\0\0", 8), 3);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].connection, 7u);
  EXPECT_EQ(frames[0].payload, "");
}

TEST(MuxTest, AFrameAboveTheLimitEndsTheStream) {
  MuxParser parser;
  parser.Feed(std::string("\0\0\0\1\0\x40\0\x0b", 8));  // one byte too many
  EXPECT_THAT(parser.Next(),
              StatusIs(StatusCode::kDataLoss, HasSubstr("longer")));
  MuxParser other;
  other.Feed(std::string("\0\0\0\1\0\x40\0\x0a", 8));
  ASSERT_OK(other.Next());
}

}  // namespace
}  // namespace berth::nri
