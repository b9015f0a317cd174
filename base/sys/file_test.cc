#include "base/sys/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/openat2.h>

#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ReadAllTest, StopsAtTheLimitInsteadOfGrowing) {
  TempDir dir;
  dir.Write("five", "12345");
  EXPECT_EQ(*ReadFile(dir.path() + "/five", 5), "12345");
  const StatusOr<std::string> more = ReadFile(dir.path() + "/five", 4);
  EXPECT_THAT(more.status(), StatusIs(StatusCode::kResourceExhausted));
  // A file without a size: it never ends.
  EXPECT_THAT(ReadFile("/dev/zero", 100'000).status(),
              StatusIs(StatusCode::kResourceExhausted));
}

TEST(ReadAllTest, ReadsWhatIsLongerThanOneChunk) {
  TempDir dir;
  const std::string big(3'000'001, 'x');
  dir.Write("big", big);
  EXPECT_EQ(*ReadFile(dir.path() + "/big", 10'000'000), big);
}

TEST(OpenFileTest, NamesThePathAndKeepsTheErrno) {
  const Status status = OpenFile("/no/such", O_RDONLY).status();
  EXPECT_EQ(ErrnoOf(status), ENOENT);
  EXPECT_THAT(Message(status), HasSubstr("/no/such"));
}

TEST(OpenBeneathTest, DoesNotLeaveTheDirectory) {
  TempDir dir;
  dir.Write("inside", "yes");
  ASSERT_EQ(symlinkat("/etc", dir.fd(), "out"), 0);
  EXPECT_OK(OpenBeneath(dir.fd(), "inside", O_RDONLY, RESOLVE_BENEATH));
  EXPECT_EQ(
      ErrnoOf(
          OpenBeneath(dir.fd(), "../x", O_RDONLY, RESOLVE_BENEATH).status()),
      EXDEV);
  EXPECT_EQ(
      ErrnoOf(OpenBeneath(dir.fd(), "out/passwd", O_RDONLY, RESOLVE_BENEATH)
                  .status()),
      EXDEV);
}

TEST(MakeDirectoriesTest, MakesParentsAndAcceptsWhatIsThere) {
  TempDir dir;
  ASSERT_OK(MakeDirectories(dir.path() + "/a/b/c", 0700));
  ASSERT_OK(MakeDirectories(dir.path() + "/a/b/c", 0700));
  dir.Write("file", "x");
  EXPECT_EQ(ErrnoOf(MakeDirectories(dir.path() + "/file", 0700)), ENOTDIR);
}

TEST(ListDirectoryTest, ReturnsSortedNamesAsOftenAsAsked) {
  TempDir dir;
  dir.Write("b", "");
  dir.Write("a", "");
  EXPECT_THAT(*ListDirectory(dir.fd()), ElementsAre("a", "b"));
  EXPECT_THAT(*ListDirectory(dir.fd()), ElementsAre("a", "b"));
}

}  // namespace
}  // namespace berth
