#include "base/base64.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/status_matchers.h"

namespace berth {
namespace {

// RFC 4648, section 10.
TEST(Base64Test, TakesBackWhatItGives) {
  const struct {
    const char* bytes;
    const char* text;
  } cases[] = {{"", ""},
               {"f", "Zg=="},
               {"fo", "Zm8="},
               {"foo", "Zm9v"},
               {"foob", "Zm9vYg=="},
               {"fooba", "Zm9vYmE="},
               {"foobar", "Zm9vYmFy"},
               {"\xfb\xff", "+/8="}};
  for (const auto& one : cases) {
    EXPECT_EQ(Base64Encode(one.bytes), one.text);
    EXPECT_THAT(Base64Decode(one.text), IsOkAndHolds(one.bytes));
  }
}

TEST(Base64Test, TakesOtherForms) {
  EXPECT_THAT(Base64Decode("-_8="), IsOkAndHolds("\xfb\xff"));
  EXPECT_THAT(Base64Decode("Zm9vYg"), IsOkAndHolds("foob"));
  EXPECT_THAT(Base64Decode(" Zm9v\r\nYmFy\n"), IsOkAndHolds("foobar"));
}

TEST(Base64Test, RefusesOtherCharacters) {
  for (const char* bad : {"Zm9v!", "Zg==Zg", "\x80", "Z"}) {
    EXPECT_THAT(Base64Decode(bad), StatusIs(StatusCode::kInvalidArgument))
        << bad;
  }
}

}  // namespace
}  // namespace berth
