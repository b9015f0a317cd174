#include "oci/cgroup/unit_limits.h"

#include <cstdint>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"

namespace berth::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

using Bytes = std::vector<uint8_t>;
using Texts = std::vector<std::string>;

std::vector<UnitProperty> OfV2(const Resources& resources) {
  const auto writes = LimitsV2(resources);
  EXPECT_OK(writes);
  return LimitProperties(writes.value_or(std::vector<LimitWrite>()));
}

std::vector<UnitProperty> OfV1(const Resources& resources) {
  const auto writes = LimitsV1(resources);
  EXPECT_OK(writes);
  return LimitProperties(writes.value_or(std::vector<LimitWrite>()));
}

UnitProperty Number(const char* name, uint64_t value) { return {name, value}; }

TEST(LimitPropertiesTest, SaysWhatSystemdHasAWordFor) {
  Resources resources;
  resources.memory.limit = 64 << 20;
  resources.memory.swap = 96 << 20;
  resources.memory.reservation = 32 << 20;
  resources.cpu.shares = 1024;
  resources.cpu.quota = 50000;
  resources.cpu.period = 200000;
  resources.cpu.cpus = "0-1,9";
  resources.cpu.mems = "0";
  resources.pids_limit = 20;
  resources.block_io.weight = 1000;
  resources.unified = {{"memory.high", "1000"}, {"memory.oom.group", "1"}};
  EXPECT_THAT(
      OfV2(resources),
      UnorderedElementsAre(
          Number("MemoryMax", 64 << 20), Number("MemorySwapMax", 32 << 20),
          Number("MemoryLow", 32 << 20), Number("CPUWeight", 100),
          Number("CPUQuotaPerSecUSec", 250000),
          Number("CPUQuotaPeriodUSec", 200000),
          UnitProperty{"AllowedCPUs", Bytes{3, 2}},
          UnitProperty{"AllowedMemoryNodes", Bytes{1}}, Number("TasksMax", 20),
          Number("IOWeight", 10000), Number("MemoryHigh", 1000),
          UnitProperty{"OOMPolicy", std::string("kill")}));
}

TEST(LimitPropertiesTest, NoLimitIsInfinity) {
  Resources resources;
  resources.memory.limit = -1;
  resources.cpu.quota = -1;
  resources.pids_limit = -1;
  EXPECT_THAT(OfV2(resources),
              UnorderedElementsAre(Number("MemoryMax", UINT64_MAX),
                                   Number("MemorySwapMax", UINT64_MAX),
                                   Number("CPUQuotaPerSecUSec", UINT64_MAX),
                                   Number("TasksMax", UINT64_MAX)));
  EXPECT_THAT(OfV2(Resources()), IsEmpty());
}

TEST(LimitPropertiesTest, RoundsAQuotaUpToWholePercents) {
  const auto of = [](int64_t quota, uint64_t period) {
    Resources resources;
    resources.cpu.quota = quota;
    resources.cpu.period = period;
    return OfV2(resources)[0];
  };
  EXPECT_EQ(of(1, 100000), Number("CPUQuotaPerSecUSec", 10000));
  EXPECT_EQ(of(33333, 100000), Number("CPUQuotaPerSecUSec", 340000));
  EXPECT_EQ(of(INT64_MAX, 1000), Number("CPUQuotaPerSecUSec", UINT64_MAX));
}

TEST(LimitPropertiesTest, UnifiedWinsAsItDoesInTheFiles) {
  Resources resources;
  resources.memory.limit = 1000;
  resources.unified = {{"memory.max", "max"}, {"cpu.max", "max 50000"}};
  EXPECT_THAT(OfV2(resources),
              UnorderedElementsAre(Number("MemoryMax", UINT64_MAX),
                                   Number("CPUQuotaPerSecUSec", UINT64_MAX),
                                   Number("CPUQuotaPeriodUSec", 50000)));
}

TEST(LimitPropertiesTest, LeavesNonsenseToTheKernel) {
  Resources resources;
  resources.unified = {{"memory.max", "much"},
                       {"cpuset.mems", "x-"},
                       {"cpuset.cpus", "0-99999999999"}};
  EXPECT_THAT(OfV2(resources), IsEmpty());
}

TEST(LimitPropertiesTest, HasTheWordsOfVersionOne) {
  Resources resources;
  resources.memory.limit = 1 << 20;
  resources.cpu.shares = 512;
  resources.cpu.quota = 20000;
  resources.cpu.period = 100000;
  resources.pids_limit = 9;
  EXPECT_THAT(OfV1(resources),
              UnorderedElementsAre(
                  Number("MemoryLimit", 1 << 20), Number("CPUShares", 512),
                  Number("CPUQuotaPerSecUSec", 200000),
                  Number("CPUQuotaPeriodUSec", 100000), Number("TasksMax", 9)));
}

DeviceRule Rule(bool allow, char type, int64_t major, int64_t minor,
                const char* access = "rwm") {
  return {.allow = allow,
          .type = type,
          .major = major,
          .minor = minor,
          .access = access};
}

TEST(DevicePropertiesTest, NamesDevicesAsSystemdDoes) {
  EXPECT_THAT(
      DeviceProperties({Rule(true, 'c', 9, 9), Rule(false, 'a', -1, -1),
                        Rule(true, 'c', -1, -1, "m"), Rule(true, 'c', 1, 3),
                        Rule(true, 'c', 136, -1), Rule(true, 'b', 8, 0, "r"),
                        Rule(true, 'c', 1, 3)}),
      ElementsAre(UnitProperty{"DevicePolicy", std::string("strict")},
                  UnitProperty{"DeviceAllow",
                               DevicePermissions{{"char-*", "m"},
                                                 {"char-136", "rwm"},
                                                 {"/dev/block/8:0", "r"},
                                                 {"/dev/char/1:3", "rwm"}}}));
}

TEST(DevicePropertiesTest, AllowsNoLessThanTheRules) {
  const auto everything =
      ElementsAre(UnitProperty{"DevicePolicy", std::string("auto")},
                  UnitProperty{"DeviceAllow", DevicePermissions()});
  EXPECT_THAT(DeviceProperties({Rule(true, 'a', -1, -1)}), everything);
  EXPECT_THAT(DeviceProperties({Rule(true, 'a', -1, -1), Rule(false, 'c', 1, 3),
                                Rule(false, 'a', -1, -1, "m")}),
              everything);
}

StatusOr<std::vector<UnitProperty>> Annotated(const std::string& name,
                                              const std::string& value) {
  return AnnotationProperties(
      {{"org.systemd.property." + name, value}, {"other", "x"}});
}

TEST(AnnotationPropertiesTest, ReadsGvariantText) {
  const auto is = [](const UnitProperty& property) {
    return IsOkAndHolds(ElementsAre(property));
  };
  EXPECT_THAT(Annotated("TimeoutStopUSec", "uint64 7"),
              is({"TimeoutStopUSec", uint64_t{7}}));
  EXPECT_THAT(Annotated("TimeoutStopSec", "7"),
              is({"TimeoutStopUSec", uint64_t{7'000'000}}));
  EXPECT_THAT(Annotated("CollectMode", "'inactive'"),
              is({"CollectMode", std::string("inactive")}));
  EXPECT_THAT(Annotated("After", "['a.service', \"b.service\"]"),
              is({"After", Texts{"a.service", "b.service"}}));
  EXPECT_THAT(Annotated("IPAccounting", " true "), is({"IPAccounting", true}));
  EXPECT_THAT(Annotated("Some", "-3"), is({"Some", int32_t{-3}}));
}

TEST(AnnotationPropertiesTest, RefusesWhatIsNoValue) {
  for (const char* const value :
       {"", "'open", "['a'", "[7]", "uint64", "uint64 -1", "uint32 4294967296",
        "9999999999", "'a' 'b'", "true x", "'a\\'"}) {
    EXPECT_THAT(Annotated("Some", value),
                StatusIs(StatusCode::kInvalidArgument))
        << value;
  }
  EXPECT_THAT(Annotated("TimeoutStopSec", "'x'"),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(Annotated("No.Name", "1"),
              StatusIs(StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace berth::oci
