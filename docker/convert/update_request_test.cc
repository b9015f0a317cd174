#include "docker/convert/update_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/json.h"
#include "base/testing/status_matchers.h"

namespace berth::docker {
namespace {

using ::testing::HasSubstr;

TEST(UpdateRequest, TakesWhatIsSet) {
  const auto update = ConvertUpdate({{"CpuShares", 512},
                                     {"memory", 64 << 20},
                                     {"PidsLimit", -1},
                                     {"Devices", nullptr},
                                     {"BlkioWeight", 0},
                                     {"Binds", Json::array({"/a:/b"})}},
                                    {});
  ASSERT_OK(update);
  EXPECT_TRUE(update->has_limits);
  EXPECT_EQ(update->limits.cpu_shares(), 512);
  EXPECT_EQ(update->limits.memory_limit(), 64 << 20);
  EXPECT_EQ(update->limits.memory_swap_limit(), 0);
  EXPECT_EQ(update->limits.pids_limit(), -1);
  EXPECT_EQ(DumpJson(update->host_config),
            R"({"CpuShares":512,"Memory":67108864,"PidsLimit":-1})");
}

TEST(UpdateRequest, APolicyIsNoLimit) {
  const auto update =
      ConvertUpdate({{"RestartPolicy", {{"Name", "always"}}}}, {});
  ASSERT_OK(update);
  EXPECT_FALSE(update->has_limits);
  EXPECT_EQ(ConvertUpdate(Json::object(), {})->host_config, Json::object());
}

TEST(UpdateRequest, SwapIsComparedWithWhatIsInForce) {
  state::v1::Resources now;
  now.set_memory_limit(64 << 20);
  now.set_memory_swap_limit(128 << 20);
  EXPECT_THAT(ConvertUpdate({{"Memory", 256 << 20}}, now),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("update the memoryswap at the same time")));
  EXPECT_OK(ConvertUpdate({{"Memory", 100 << 20}}, now));
  EXPECT_EQ(ConvertUpdate({{"MemorySwap", 256 << 20}}, now)
                ->limits.memory_swap_limit(),
            256 << 20);
  EXPECT_THAT(ConvertUpdate({{"MemorySwap", 32 << 20}}, now),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(UpdateRequest, RefusesTheRestByName) {
  EXPECT_THAT(ConvertUpdate({{"BlkioDeviceReadBps", Json::array()}}, {}),
              StatusIs(StatusCode::kUnimplemented,
                       HasSubstr("BlkioDeviceReadBps to none")));
  EXPECT_THAT(ConvertUpdate({{"BlkioWeight", 10}}, {}),
              StatusIs(StatusCode::kUnimplemented, HasSubstr("BlkioWeight")));
  EXPECT_THAT(ConvertUpdate({{"CpuShares", "x"}}, {}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("CpuShares")));
  EXPECT_THAT(ConvertUpdate({{"CpuShares", Json::object()}}, {}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("CpuShares")));
  EXPECT_THAT(ConvertUpdate({{"Memory", 1}}, {}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("6MB")));
  EXPECT_THAT(ConvertUpdate({{"RestartPolicy", {{"Name", "never"}}}}, {}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("never")));
}

}  // namespace
}  // namespace berth::docker
