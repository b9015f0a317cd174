#include "sandbox/usage/file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/status_matchers.h"

namespace berth::sandbox {
namespace {

TEST(FileSystemTest, MeasuresWhereAFolderIs) {
  const auto stats = ReadFileSystem("/");
  ASSERT_OK(stats);
  EXPECT_GT(stats->bytes, 0u);
  EXPECT_FALSE(stats->device.empty());
  EXPECT_THAT(ReadFileSystem("/no/such").status(),
              StatusIs(StatusCode::kNotFound));
}

TEST(FileSystemTest, NamesADeviceByItsNumbersIfNothingElse) {
  EXPECT_EQ(BlockDeviceName(0, 4095), "0:4095");
}

}  // namespace
}  // namespace berth::sandbox
