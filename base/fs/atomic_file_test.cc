#include "base/fs/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth {
namespace {

using ::testing::ElementsAre;

TEST(WriteFileAtomicallyTest, ReplacesContentsAndLeavesNoTemporary) {
  TempDir dir;
  ASSERT_OK(WriteFileAtomically(dir.fd(), "state.json", "old", 0600));
  ASSERT_OK(WriteFileAtomically(dir.fd(), "state.json", "new", 0600));
  EXPECT_EQ(dir.Read("state.json"), "new");
  EXPECT_THAT(dir.Names(), ElementsAre("state.json"));
}

TEST(WriteFileAtomicallyTest, LeavesTheTargetAloneWhenItCannotBeReplaced) {
  TempDir dir;
  dir.MakeDirectory("state.json/occupied");
  EXPECT_THAT(WriteFileAtomically(dir.fd(), "state.json", "new", 0600),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(dir.Names(), ElementsAre("state.json"));
}

TEST(WriteFileAtomicallyTest, RecoversFromATemporaryLeftByACrash) {
  TempDir dir;
  dir.Write(".state.json.tmp", "half a rec");
  ASSERT_OK(WriteFileAtomically(dir.fd(), "state.json", "whole", 0600));
  EXPECT_EQ(dir.Read("state.json"), "whole");
  EXPECT_THAT(dir.Names(), ElementsAre("state.json"));
}

TEST(WriteFileAtomicallyTest, TakesAPathAndKeepsTheModeAskedFor) {
  TempDir dir;
  const mode_t mask = umask(0077);
  ASSERT_OK(WriteFileAtomically(dir.Path("hosts"), "127.0.0.1 a\n", 0644));
  umask(mask);
  struct stat info;
  ASSERT_EQ(stat(dir.Path("hosts").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0644u);
  EXPECT_THAT(WriteFileAtomically(dir.Path("none/hosts"), "x", 0644),
              StatusIs(StatusCode::kNotFound));
}

TEST(ReplaceFileTest, ReplacesContents) {
  TempDir dir;
  ASSERT_OK(ReplaceFile(dir.Path("a"), "old", 0600));
  ASSERT_OK(ReplaceFile(dir.Path("a"), "new", 0600));
  EXPECT_EQ(dir.Read("a"), "new");
  EXPECT_THAT(dir.Names(), ElementsAre("a"));
}

}  // namespace
}  // namespace berth
