#include "base/error/word.h"

#include <gtest/gtest.h>

#include "base/testing/status_matchers.h"

namespace berth {
namespace {

TEST(ErrorWordTest, GoesAlongWithItsError) {
  const Status error = WithWord(NotFound("no file"), "MountFailed");
  EXPECT_EQ(WordOf(error), "MountFailed");
  EXPECT_EQ(Message(error), "no file");
  EXPECT_EQ(WordOf(Annotate(Annotate(error, "mount"), "create")),
            "MountFailed");
  EXPECT_EQ(WordOf(WithWord(error, "Other")), "MountFailed");
}

TEST(ErrorWordTest, AnnotateKeepsTheErrnoToo) {
  const Status error = WithWord(Errno(ENOENT, "open"), "MountFailed");
  EXPECT_EQ(ErrnoOf(Annotate(error, "mount")), ENOENT);
}

TEST(ErrorWordTest, MostErrorsHaveNone) {
  EXPECT_EQ(WordOf(Internal("x")), "");
  EXPECT_EQ(WordOf(WithWord(OkStatus(), "MountFailed")), "");
  EXPECT_OK(WithWord(OkStatus(), "MountFailed"));
}

}  // namespace
}  // namespace berth
