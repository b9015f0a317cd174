#include "docker/convert/healthcheck.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/status_matchers.h"

namespace berth::docker {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Json Config(Json check) { return {{"Healthcheck", std::move(check)}}; }

TEST(Healthcheck, HasDockersDefaults) {
  const auto check =
      Healthcheck::Of(Config({{"Test", Json::array({"CMD", "a", "b"})}}));
  ASSERT_TRUE(check.has_value());
  EXPECT_THAT(check->argv, ElementsAre("a", "b"));
  EXPECT_EQ(check->interval, seconds(30));
  EXPECT_EQ(check->timeout, seconds(30));
  EXPECT_EQ(check->start_period, seconds(0));
  EXPECT_EQ(check->start_interval, seconds(5));
  EXPECT_EQ(check->retries, 3);
}

TEST(Healthcheck, RunsALineInTheShell) {
  Json config = Config({{"Test", Json::array({"CMD-SHELL", "a b"})},
                        {"Interval", 1000000000},
                        {"Retries", 2}});
  EXPECT_THAT(Healthcheck::Of(config)->argv,
              ElementsAre("/bin/sh", "-c", "a b"));
  EXPECT_EQ(Healthcheck::Of(config)->interval, seconds(1));
  config["Shell"] = Json::array({"/bin/bash", "-ec"});
  EXPECT_THAT(Healthcheck::Of(config)->argv,
              ElementsAre("/bin/bash", "-ec", "a b"));
}

TEST(Healthcheck, ThereMayBeNone) {
  EXPECT_FALSE(Healthcheck::Of(Json::object()).has_value());
  EXPECT_FALSE(
      Healthcheck::Of(Config({{"Test", Json::array({"NONE"})}})).has_value());
  EXPECT_FALSE(Healthcheck::Of(Config({{"Test", 3}})).has_value());
  EXPECT_FALSE(Healthcheck::Of(Config("x")).has_value());
}

TEST(Healthcheck, WrongOnesAreRefused) {
  EXPECT_OK(CheckHealthcheck(Json::object()));
  EXPECT_OK(CheckHealthcheck(Config({{"Test", Json::array()}})));
  EXPECT_OK(CheckHealthcheck(Config({{"Test", Json::array({"CMD", "x"})}})));
  const auto refused = [](Json check) {
    return Message(CheckHealthcheck(Config(std::move(check))));
  };
  EXPECT_THAT(refused({{"Test", Json::array({"RUN", "x"})}}),
              HasSubstr("Test in Healthcheck"));
  EXPECT_THAT(refused({{"Test", Json::array({"CMD"})}}),
              HasSubstr("Test in Healthcheck"));
  EXPECT_THAT(refused({{"Interval", 1000}}), HasSubstr("less than 1ms"));
  EXPECT_THAT(refused({{"Timeout", -1}}), HasSubstr("less than 1ms"));
  EXPECT_THAT(refused({{"Retries", -1}}), HasSubstr("negative"));
  EXPECT_THAT(refused({{"Test", "CMD x"}}), HasSubstr("Test"));
}

TEST(Healthcheck, TakesFromTheImageWhatIsOpen) {
  state::v1::Healthcheck image;
  image.add_test("CMD");
  image.add_test("image");
  image.set_interval(5000000000);
  image.set_retries(7);
  Json config = Json::object();
  InheritHealthcheck(image, config);
  EXPECT_EQ(DumpJson(config),
            R"({"Healthcheck":{"Interval":5000000000,"Retries":7,)"
            R"("Test":["CMD","image"]}})");
  config = Config({{"Test", Json::array({"CMD", "mine"})}, {"Retries", 1}});
  InheritHealthcheck(image, config);
  EXPECT_EQ(DumpJson(config),
            R"({"Healthcheck":{"Interval":5000000000,"Retries":1,)"
            R"("Test":["CMD","mine"]}})");
  InheritHealthcheck({}, config = Json::object());
  EXPECT_EQ(DumpJson(config), "{}");
}

Health::Result Ended(int code, UnixNanos start = 0) {
  return {start, start + 1, code, "out"};
}

TEST(Health, BecomesUnhealthyAfterSoManyFailures) {
  Healthcheck check;
  check.retries = 2;
  Health health;
  EXPECT_EQ(health.status(), "starting");
  EXPECT_FALSE(health.Take(check, 0, Ended(1)));
  EXPECT_TRUE(health.Take(check, 0, Ended(-1)));
  EXPECT_EQ(health.status(), "unhealthy");
  EXPECT_FALSE(health.Take(check, 0, Ended(1)));
  EXPECT_TRUE(health.Take(check, 0, Ended(0)));
  EXPECT_EQ(health.status(), "healthy");
  EXPECT_FALSE(health.Take(check, 0, Ended(1)));
  EXPECT_EQ(health.status(), "healthy");
}

TEST(Health, FailuresOfTheStartPeriodDoNotCount) {
  Healthcheck check;
  check.retries = 1;
  check.start_period = seconds(10);
  Health health;
  EXPECT_FALSE(health.Take(check, 1000, Ended(1, 2000)));
  EXPECT_EQ(health.status(), "starting");
  EXPECT_TRUE(health.Take(check, 1000, Ended(1, 20000000000)));
  EXPECT_EQ(health.status(), "unhealthy");
}

TEST(Health, KeepsFiveResults) {
  Health health;
  for (int i = 0; i < 7; ++i) health.Take({}, 0, Ended(i));
  const Json json = health.ToJson();
  const Json::Array& log = json.Find("Log")->elements();
  ASSERT_EQ(log.size(), 5u);
  EXPECT_EQ(log[0].Find("ExitCode")->AsInt(), 2);
  EXPECT_EQ(log[4].Text("Output"), "out");
}

}  // namespace
}  // namespace berth::docker
