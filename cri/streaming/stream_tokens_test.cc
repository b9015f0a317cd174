#include "cri/streaming/stream_tokens.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/testing/status_matchers.h"

namespace berth::cri {
namespace {

v1::ExecRequest Exec(const std::string& command) {
  v1::ExecRequest request;
  request.add_cmd(command);
  return request;
}

TEST(StreamTokensTest, ATokenIsGoodOnce) {
  StreamTokens tokens;
  ASSERT_OK_AND_ASSIGN(const std::string token, tokens.Issue(Exec("ls")));
  EXPECT_GE(token.size(), 32u);
  EXPECT_FALSE(tokens.Redeem("").has_value());
  EXPECT_FALSE(tokens.Redeem(token + "0").has_value());
  const auto request = tokens.Redeem(token);
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(std::get<v1::ExecRequest>(*request).cmd(0), "ls");
  EXPECT_FALSE(tokens.Redeem(token).has_value());
}

TEST(StreamTokensTest, NoTwoAreEqual) {
  StreamTokens tokens;
  std::set<std::string> all;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_OK_AND_ASSIGN(const std::string token, tokens.Issue(Exec("ls")));
    EXPECT_TRUE(all.insert(token).second);
  }
  EXPECT_THAT(tokens.Issue(Exec("ls")),
              StatusIs(StatusCode::kResourceExhausted));
  EXPECT_TRUE(tokens.Redeem(*all.begin()).has_value());
  EXPECT_OK(tokens.Issue(Exec("ls")).status());
}

TEST(StreamTokensTest, ATokenEndsByItself) {
  StreamTokenLimits limits;
  limits.tokens = 1;
  limits.lifetime = Duration(0);
  StreamTokens tokens(limits);
  ASSERT_OK_AND_ASSIGN(const std::string token, tokens.Issue(Exec("ls")));
  EXPECT_FALSE(tokens.Redeem(token).has_value());
  EXPECT_OK(tokens.Issue(Exec("ls")).status());
  EXPECT_OK(tokens.Issue(Exec("ls")).status());
}

TEST(StreamTokensTest, LargeRequestsAreFew) {
  StreamTokenLimits limits;
  limits.bytes = 1000;
  StreamTokens tokens(limits);
  ASSERT_OK_AND_ASSIGN(const std::string token,
                       tokens.Issue(Exec(std::string(600, 'x'))));
  EXPECT_THAT(tokens.Issue(Exec(std::string(600, 'x'))),
              StatusIs(StatusCode::kResourceExhausted));
  EXPECT_TRUE(tokens.Redeem(token).has_value());
  EXPECT_OK(tokens.Issue(Exec(std::string(600, 'x'))).status());
}

}  // namespace
}  // namespace berth::cri
