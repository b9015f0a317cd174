#include "image/registry/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/base64.h"
#include "base/testing/status_matchers.h"
#include "image/reference.h"

namespace berth::image {
namespace {

TEST(CredentialFromTest, PrefersTheMoreSpecific) {
  RegistryAuth auth;
  auth.username = "u";
  auth.password = "p";
  EXPECT_EQ(CredentialFrom(auth, "h")->username, "u");
  auth.identity_token = "i";
  EXPECT_EQ(CredentialFrom(auth, "h")->identity_token, "i");
  EXPECT_EQ(CredentialFrom(auth, "h")->username, "");
  auth.registry_token = "r";
  EXPECT_EQ(CredentialFrom(auth, "h")->registry_token, "r");
}

TEST(CredentialFromTest, DecodesTheJointForm) {
  RegistryAuth auth;
  auth.auth = Base64Encode(std::string("user:pa:ss\0\0", 12));
  EXPECT_EQ(CredentialFrom(auth, "h")->username, "user");
  EXPECT_EQ(CredentialFrom(auth, "h")->password, "pa:ss");
  auth.auth = "***";
  EXPECT_THAT(CredentialFrom(auth, "h"),
              StatusIs(StatusCode::kInvalidArgument));
  auth.auth = Base64Encode("no colon");
  EXPECT_THAT(CredentialFrom(auth, "h"),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(CredentialFromTest, TakesBase64ThatIsWrapped) {
  const std::string secret(200, 's');
  const std::string whole = Base64Encode("user:" + secret);
  for (const char* const line_break : {"\n", "\r\n", " ", "\t"}) {
    std::string wrapped;
    for (size_t at = 0; at < whole.size(); at += 76) {
      wrapped += whole.substr(at, 76) + line_break;
    }
    RegistryAuth auth;
    auth.auth = wrapped;
    ASSERT_OK_AND_ASSIGN(const Credential credential,
                         CredentialFrom(auth, "h"));
    EXPECT_EQ(credential.username, "user");
    EXPECT_EQ(credential.password, secret);
  }
}

TEST(CredentialFromTest, TellsTheSecretOnlyToTheNamedServer) {
  RegistryAuth auth;
  auth.username = "u";
  auth.server_address = "https://one.test:5000/v2/";
  EXPECT_FALSE(CredentialFrom(auth, "one.test:5000")->empty());
  EXPECT_TRUE(CredentialFrom(auth, "one.test")->empty());
  EXPECT_TRUE(CredentialFrom(auth, "two.test:5000")->empty());
  auth.server_address = "https://index.docker.io/v1/";
  EXPECT_FALSE(CredentialFrom(auth, "docker.io")->empty());
}

TEST(CredentialFileTest, TakesTheLongestMatch) {
  ASSERT_OK_AND_ASSIGN(const CredentialFile file,
                       CredentialFile::Parse(R"({"auths":{
        "h.test": {"username": "host"},
        "h.test/team": {"username": "team"},
        "https://index.docker.io/v1/": {"username": "hub"}}})"));
  const auto user = [&](const char* reference) {
    const Reference name = *Reference::Parse(reference);
    return file.Find(name.domain(), name.path())->username;
  };
  EXPECT_EQ(user("h.test/a"), "host");
  EXPECT_EQ(user("h.test/team/a"), "team");
  EXPECT_EQ(user("h.test/teamwork"), "host");
  EXPECT_EQ(user("busybox"), "hub");
  EXPECT_EQ(user("x.test/a"), "");
}

}  // namespace
}  // namespace berth::image
