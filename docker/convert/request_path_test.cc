#include "docker/convert/request_path.h"

#include <gtest/gtest.h>

namespace berth::docker {
namespace {

TEST(RequestPathTest, CleansAsGoDoes) {
  const std::map<std::string, std::string> cases = {
      {"/", "/"},           {"//", "/"},          {"/..", "/"},
      {"/a/b", "/a/b"},     {"/a/b/", "/a/b/"},   {"//a///b//", "/a/b/"},
      {"/a/./b/.", "/a/b"}, {"/a/../b", "/b"},    {"/a/../../b/..", "/"},
      {"/a/...", "/a/..."}, {"/.a/b.", "/.a/b."},
  };
  for (const auto& [path, clean] : cases) {
    EXPECT_EQ(CleanPath(path), clean) << path;
    EXPECT_EQ(CleanPath(clean), clean) << path;
  }
}

TEST(RequestPathTest, WritesATarget) {
  EXPECT_EQ(TargetText("/", {}), "/");
  EXPECT_EQ(TargetText("/a/b", {}), "/a/b");
  EXPECT_EQ(TargetText("/a/", {}), "/a/");
  EXPECT_EQ(TargetText("/a b/\r\n", {{"x", {"1", "&"}}, {"y z", {""}}}),
            "/a%20b/%0D%0A?x=1&x=%26&y%20z=");
}

}  // namespace
}  // namespace berth::docker
