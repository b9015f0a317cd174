#include "door/stream/frames.h"

#include <gtest/gtest.h>

#include <string>

#include "base/testing/fuzz.h"
#include "base/testing/status_matchers.h"

namespace berth::door {
namespace {

TEST(FrameTest, WritesTheHead) {
  EXPECT_EQ(Frame(Stream::kStderr, "abc"), std::string("\x02\0\0\0\0\0\0\x03"
                                                       "abc",
                                                       11));
  EXPECT_EQ(FrameHead(Stream::kStdout, 0x01020304),
            std::string("\x01\0\0\0\x01\x02\x03\x04", 8));
}

TEST(DetachKeysTest, FindsTheSequenceAcrossReads) {
  ASSERT_OK_AND_ASSIGN(DetachKeys keys, DetachKeys::Parse(""));
  EXPECT_EQ(keys.Pass("ab\x10"), "ab");
  EXPECT_EQ(keys.Pass("c"),
            "\x10"
            "c");
  EXPECT_EQ(keys.Pass("d\x10\x11more"), "d");
  EXPECT_TRUE(keys.detached());
  ASSERT_OK_AND_ASSIGN(keys, DetachKeys::Parse("ctrl-a,x"));
  EXPECT_EQ(keys.Pass("\x01x"), "");
  EXPECT_TRUE(keys.detached());
  EXPECT_THAT(DetachKeys::Parse("ctrl-1"),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(DetachKeysTest, LosesNothingThatIsTyped) {
  Fuzz({"ctrl-p,ctrl-q", "a,b,a", "ctrl-@,x"},
       {"ctrl-", ",", "ctrl-p,", "\x10\x11"}, [](const std::string& text) {
         auto keys = DetachKeys::Parse(text);
         auto plain = DetachKeys::Parse("");
         const std::string passed = plain->Pass(text);
         EXPECT_LE(passed.size(), text.size());
         if (!plain->detached()) {
           EXPECT_EQ(text.find(passed), 0u);
         }
         if (!keys.ok()) return false;
         for (const char c : text) (void)keys->Pass(std::string(1, c));
         return true;
       });
}

TEST(FrameTest, SurvivesAnyPiece) {
  Fuzz({"hello", ""}, {}, [](const std::string& piece) {
    const std::string frame = Frame(Stream::kStderr, piece);
    EXPECT_EQ(frame, FrameHead(Stream::kStderr, piece.size()) + piece);
    return frame.size() == piece.size() + 8;
  });
}

}  // namespace
}  // namespace berth::door
