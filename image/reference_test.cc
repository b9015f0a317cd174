#include "image/reference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/fuzz.h"
#include "base/testing/status_matchers.h"

namespace berth::image {
namespace {

const char kDigest[] =
    "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

std::string Full(const std::string& text) {
  const StatusOr<Reference> reference = Reference::Parse(text);
  return reference.ok() ? reference->str() : "error";
}

TEST(ReferenceTest, CompletesWhatPeopleType) {
  const std::string at = std::string("@") + kDigest;
  const std::pair<std::string, std::string> cases[] = {
      {"busybox", "docker.io/library/busybox:latest"},
      {"user/app", "docker.io/user/app:latest"},
      {"docker.io/busybox", "docker.io/library/busybox:latest"},
      {"index.docker.io/busybox:1", "docker.io/library/busybox:1"},
      {"localhost/app", "localhost/app:latest"},
      {"localhost:5000/app", "localhost:5000/app:latest"},
      {"myhost:5000/a/b" + at, "myhost:5000/a/b" + at},
      {"app:tag" + at, "docker.io/library/app" + at},
      {"[::1]:5000/x", "[::1]:5000/x:latest"},
      {"xn--n3h.com/a", "xn--n3h.com/a:latest"},
      {"a.b/c", "a.b/c:latest"},
      {"Host/app", "Host/app:latest"},
      {"a__b/c---d/e.f:V1_x", "docker.io/a__b/c---d/e.f:V1_x"},
  };
  for (const auto& [text, full] : cases) EXPECT_EQ(Full(text), full) << text;
}

TEST(ReferenceTest, RefusesWhatNoRegistryHolds) {
  const std::string cases[] = {"",
                               "App",
                               "a/b/C",
                               "a:",
                               ":tag",
                               "a:b:c",
                               "/a",
                               "a/",
                               "a//b",
                               "a..b",
                               "a___b",
                               "-a",
                               "a-",
                               "a b",
                               "a\n",
                               "a/../b",
                               "h:99999/x",
                               "h:/x",
                               "[::1/x",
                               "a@sha256:abc",
                               "a@md5:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                               std::string(64, 'a'),
                               std::string("a\0b", 3),
                               "a.b/" + std::string(256, 'x'),
                               "a:" + std::string(129, 't'),
                               "http://host/x",
                               "a_.b",
                               "h..i/x"};
  for (const std::string& text : cases) EXPECT_EQ(Full(text), "error") << text;
}

TEST(ReferenceTest, FamiliarFormLeadsBackToTheSame) {
  for (const char* text :
       {"busybox", "user/app:1", "h.io/library/x", "localhost:5/a/b",
        "docker.io/a.b/c", "docker.io/library/a/b", "docker.io/localhost/a",
        "docker.io/library/a.b/c"}) {
    ASSERT_OK_AND_ASSIGN(const Reference a, Reference::Parse(text));
    ASSERT_OK_AND_ASSIGN(const Reference b, Reference::Parse(a.Familiar()));
    EXPECT_EQ(a, b);
  }
  EXPECT_EQ(Reference::Parse("busybox")->Familiar(), "busybox:latest");
  EXPECT_EQ(Reference::Parse("docker.io/a.b/c")->Familiar(),
            "docker.io/a.b/c:latest");
  EXPECT_EQ(Reference::Parse("docker.io/library/a/b")->Familiar(),
            "library/a/b:latest");
}

TEST(ParseImageIdTest, TakesFullIdsOnly) {
  EXPECT_EQ(ParseImageId(kDigest).str(), kDigest);
  EXPECT_EQ(ParseImageId(std::string(64, 'a')).str(), kDigest);
  EXPECT_TRUE(ParseImageId(std::string(64, 'A')).empty());
  EXPECT_TRUE(ParseImageId("aaaa").empty());
}

TEST(ReferenceTest, SurvivesAnyBytes) {
  Fuzz({"busybox", "localhost:5000/a/b:tag", "[::1]:5000/a",
        "r.test/a-b__c/d@sha256:" + std::string(64, 'a')},
       {"/", ":", "@", "..", "@sha256:", "[", "]", "library/", "docker.io/"},
       [](const std::string& text) {
         const auto parsed = Reference::Parse(text);
         if (!parsed.ok()) return false;
         // The full form means the same.
         const auto again = Reference::Parse(parsed->str());
         EXPECT_OK(again);
         if (again.ok()) {
           EXPECT_EQ(again->str(), parsed->str());
         }
         return true;
       });
}

}  // namespace
}  // namespace berth::image
