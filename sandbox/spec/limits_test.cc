#include "sandbox/spec/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/status_matchers.h"

namespace berth::sandbox {
namespace {

TEST(ToOciTest, LeavesOutEmptyHugepageLimitsThatNobodyCouldSet) {
  state::v1::Resources limits;
  limits.add_hugepage_limits()->set_page_size("2MB");
  state::v1::HugepageLimit& wanted = *limits.add_hugepage_limits();
  wanted.set_page_size("1GB");
  wanted.set_limit(1 << 30);
  const auto with = ToOci(limits, /*has_hugetlb=*/true);
  ASSERT_OK(with);
  EXPECT_EQ(with->hugepages.size(), 2u);
  const auto without = ToOci(limits, /*has_hugetlb=*/false);
  ASSERT_OK(without);
  ASSERT_EQ(without->hugepages.size(), 1u);
  EXPECT_EQ(without->hugepages[0].page_size, "1GB");
}

}  // namespace
}  // namespace berth::sandbox
