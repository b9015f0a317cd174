#include "cri/usage/cache.h"

#include <gtest/gtest.h>

#include "base/testing/status_matchers.h"

namespace berth::cri {
namespace {

// A clock that stands still, and measurements that take as long as they say.
class UsageCacheTest : public ::testing::Test {
 protected:
  StatusOr<v1::FilesystemUsage> Measure() {
    ++measured_;
    now_ += takes_;
    RETURN_IF_ERROR(status_);
    v1::FilesystemUsage usage;
    usage.mutable_used_bytes()->set_value(static_cast<uint64_t>(measured_));
    return usage;
  }
  uint64_t Get(const std::string& key) {
    const auto usage = cache_.Get(key);
    return usage.ok() ? usage->used_bytes().value() : 0;
  }

  int measured_ = 0;
  Status status_;
  Duration takes_ = std::chrono::milliseconds(1);
  SteadyTime now_ = SteadyTime() + std::chrono::hours(1);
  UsageCache cache_{[this](const std::string&) { return Measure(); },
                    [this] { return now_; }};
};

TEST_F(UsageCacheTest, MeasuresALayerOnceInTenSeconds) {
  EXPECT_EQ(Get("a"), 1u);
  EXPECT_EQ(Get("a"), 1u);
  EXPECT_EQ(Get("b"), 2u);
  now_ += std::chrono::seconds(9);
  EXPECT_EQ(Get("a"), 1u);
  now_ += std::chrono::seconds(2);
  EXPECT_EQ(Get("a"), 3u);
}

TEST_F(UsageCacheTest, MeasuresSeldomWhatTakesLong) {
  takes_ = std::chrono::seconds(3);
  EXPECT_EQ(Get("a"), 1u);
  now_ += std::chrono::seconds(50);
  EXPECT_EQ(Get("a"), 1u);
  now_ += std::chrono::seconds(20);
  EXPECT_EQ(Get("a"), 2u);
}

TEST_F(UsageCacheTest, KeepsNoError) {
  status_ = Internal("the disk");
  EXPECT_THAT(cache_.Get("a").status(), StatusIs(StatusCode::kInternal));
  status_ = OkStatus();
  EXPECT_EQ(Get("a"), 2u);
}

}  // namespace
}  // namespace berth::cri
