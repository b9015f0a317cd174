#include "image/registry/authorizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/base64.h"
#include "base/testing/fuzz.h"
#include "base/testing/scripted_server.h"
#include "base/testing/status_matchers.h"

namespace berth::image {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(ParseChallengesTest, ReadsSeveralSchemesOnOneLine) {
  const auto all = ParseChallenges(
      "Basic realm=\"a \\\"b\\\", c\", BEARER realm=https://x/t , "
      "service=\"s\",scope=\"repository:a/b:pull,push\"");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].scheme, "basic");
  EXPECT_EQ(all[0].parameters.at("realm"), "a \"b\", c");
  EXPECT_EQ(all[1].scheme, "bearer");
  EXPECT_EQ(all[1].parameters.at("realm"), "https://x/t");
  EXPECT_EQ(all[1].parameters.at("scope"), "repository:a/b:pull,push");
}

TEST(ParseChallengesTest, SurvivesRubbish) {
  for (const char* text : {"", ",,,", "=", "\"", "Basic realm=\"open", "a=b",
                           "===\"\\", "Bearer realm", " , x y z"}) {
    ParseChallenges(text);
  }
}

class AuthorizerTest : public ::testing::Test {
 protected:
  HttpResponse Refusal(const std::string& challenge) {
    HttpResponse refusal;
    refusal.status = 401;
    refusal.headers = {{"www-authenticate", challenge}};
    return refusal;
  }
  std::string Bearer(const ScriptedServer& server) {
    return "Bearer realm=\"" + server.Url("/token") + "\",service=\"s\"";
  }
  RegistryHost HostOf(const std::string& api, const Credential& credential) {
    RegistryHost host;
    host.api = api;
    host.credential = credential;
    return host;
  }

  const HttpClient http_{"test"};
  const Context ctx_ = Context::Background();
  const std::string scope_ = "repository:a/b:pull";
};

TEST_F(AuthorizerTest, AsksForATokenWithoutACredential) {
  ScriptedServer server(
      [](const std::string&) { return HttpReply(200, R"({"token":"t1"})"); });
  Authorizer authorizer(http_, scope_);
  const RegistryHost host = HostOf("http://r.test/v2", Credential());
  EXPECT_EQ(authorizer.HeaderFor(host), "");
  ASSERT_OK(authorizer.Answer(ctx_, host, Refusal(Bearer(server)), ""));
  EXPECT_EQ(authorizer.HeaderFor(host), "Bearer t1");
  EXPECT_THAT(
      server.requests()[0],
      HasSubstr("GET /token?service=s&scope=repository%3Aa%2Fb%3Apull"));
  // Somebody else's refusal of the old header: nothing more to do.
  ASSERT_OK(authorizer.Answer(ctx_, host, Refusal(Bearer(server)), ""));
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST_F(AuthorizerTest, PostsAPasswordAndFallsBackToGet) {
  ScriptedServer server([](const std::string& request) {
    return request.find("POST") == 0 ? HttpReply(405, "")
                                     : HttpReply(200, R"({"token":"t"})");
  });
  Credential credential;
  credential.username = "u";
  credential.password = "p&w";
  Authorizer authorizer(http_, scope_);
  const RegistryHost host = HostOf("http://r.test/v2", credential);
  ASSERT_OK(authorizer.Answer(ctx_, host, Refusal(Bearer(server)), ""));
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_THAT(requests[0], HasSubstr("username=u&password=p%26w"));
  EXPECT_EQ(RequestHeader(requests[1], "Authorization"),
            "Basic " + Base64Encode("u:p&w"));
}

TEST_F(AuthorizerTest, KeepsSecretsFromOtherHostsAndFromPlainText) {
  ScriptedServer server(
      [](const std::string&) { return HttpReply(200, R"({"token":"t"})"); });
  Credential credential;
  credential.username = "user";
  credential.password = "secret";
  Authorizer authorizer(http_, scope_);
  const RegistryHost mirror = HostOf("http://m.test/v2", Credential());
  ASSERT_OK(authorizer.Answer(ctx_, mirror, Refusal(Bearer(server)), ""));
  EXPECT_THAT(authorizer.Answer(ctx_, mirror, Refusal("Basic realm=x"),
                                authorizer.HeaderFor(mirror)),
              StatusIs(StatusCode::kUnauthenticated));
  // An https registry that points to an http token server.
  ASSERT_OK(authorizer.Answer(ctx_, HostOf("https://r.test/v2", credential),
                              Refusal(Bearer(server)), ""));
  for (const std::string& request : server.requests()) {
    EXPECT_THAT(request, Not(HasSubstr("secret")));
    EXPECT_EQ(RequestHeader(request, "Authorization"), "");
  }
}

// A registry counts the pulls of public images by user, too.
TEST_F(AuthorizerTest, SaysWhoAsksForATokenAlsoIfAnybodyGetsOne) {
  ScriptedServer server([](const std::string& request) {
    return request.find("POST") == 0 ? HttpReply(401, "")
                                     : HttpReply(200, R"({"token":"t"})");
  });
  Credential credential;
  credential.username = "u";
  credential.password = "p";
  Authorizer authorizer(http_, scope_);
  const RegistryHost host = HostOf("http://r.test/v2", credential);
  ASSERT_OK(authorizer.Answer(ctx_, host, Refusal(Bearer(server)), ""));
  EXPECT_EQ(RequestHeader(server.requests().back(), "Authorization"),
            "Basic " + Base64Encode("u:p"));
}

// While one waits for a token server, others can give up, and other hosts be
// asked.
TEST_F(AuthorizerTest, AWaitForATokenEndsWithItsContext) {
  ScriptedServer silent([](const std::string&) { return HttpReply(200, ""); });
  silent.Pace(0, std::chrono::milliseconds(0));
  Authorizer authorizer(http_, scope_);
  const RegistryHost host = HostOf("http://r.test/v2", Credential());
  const Context first = ctx_.WithCancel();
  std::thread fetcher([&] {
    EXPECT_THAT(authorizer.Answer(first, host, Refusal(Bearer(silent)), ""),
                StatusIs(StatusCode::kCancelled));
  });
  while (silent.requests().empty()) std::this_thread::yield();
  EXPECT_EQ(authorizer.HeaderFor(host), "");
  EXPECT_THAT(authorizer.Answer(ctx_.WithTimeout(std::chrono::milliseconds(5)),
                                host, Refusal(Bearer(silent)), ""),
              StatusIs(StatusCode::kDeadlineExceeded));
  first.Cancel();
  fetcher.join();
}

TEST_F(AuthorizerTest, SaysUnauthorizedWithoutTheSecret) {
  ScriptedServer server(
      [](const std::string&) { return HttpReply(401, "{}"); });
  Credential credential;
  credential.username = "u";
  credential.password = "topsecret";
  Authorizer authorizer(http_, scope_);
  const Status status =
      authorizer.Answer(ctx_, HostOf("http://r.test/v2", credential),
                        Refusal(Bearer(server)), "");
  EXPECT_THAT(status, StatusIs(StatusCode::kUnauthenticated,
                               HasSubstr("unauthorized")));
  EXPECT_THAT(Message(status), Not(HasSubstr("topsecret")));
}

TEST_F(AuthorizerTest, UsesBasicOnceOnly) {
  Credential credential;
  credential.username = "u";
  credential.password = "p";
  Authorizer authorizer(http_, scope_);
  const RegistryHost host = HostOf("https://r.test/v2", credential);
  ASSERT_OK(authorizer.Answer(ctx_, host, Refusal("Basic realm=x"), ""));
  const std::string header = authorizer.HeaderFor(host);
  EXPECT_EQ(header, "Basic dTpw");
  EXPECT_THAT(authorizer.Answer(ctx_, host, Refusal("Basic realm=x"), header),
              StatusIs(StatusCode::kUnauthenticated));
}

TEST(ParseChallengesTest, SurvivesAnyBytes) {
  Fuzz({R"(Bearer realm="https://a.test/t",service="s",scope="x:y:pull,push")",
        R"(Basic realm="a \"b\" c", Digest nonce=abc==, Negotiate)"},
       {",", "=", "\"", "\\", "Bearer ", " "}, [](const std::string& header) {
         const auto challenges = ParseChallenges(header);
         for (const Challenge& challenge : challenges) {
           EXPECT_FALSE(challenge.scheme.empty());
         }
         return !challenges.empty();
       });
}

}  // namespace
}  // namespace berth::image
