#include "docker/convert/image_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/status_matchers.h"

namespace berth::docker {
namespace {

using ::testing::HasSubstr;

std::string Changed(const std::vector<std::string>& changes,
                    Json config = Json::object()) {
  const Status applied = ApplyImageChanges(changes, config);
  return applied.ok() ? DumpJson(config) : Message(applied);
}

TEST(ImageChanges, TakeEachInstruction) {
  EXPECT_EQ(Changed({"CMD [\"a\", \"b c\"]"}), R"({"Cmd":["a","b c"]})");
  EXPECT_EQ(Changed({"cmd echo $x"}), R"({"Cmd":["/bin/sh","-c","echo $x"]})");
  EXPECT_EQ(Changed({"ENV A=1 B=\"two words\" C=a\\ b"}),
            R"({"Env":["A=1","B=two words","C=a b"]})");
  EXPECT_EQ(Changed({"ENV A the rest"}), R"({"Env":["A=the rest"]})");
  EXPECT_EQ(Changed({"LABEL a=b 'c d'=e"}),
            R"({"Labels":{"a":"b","c d":"e"}})");
  EXPECT_EQ(Changed({"EXPOSE 80 53/udp 90-91"}),
            R"({"ExposedPorts":{"53/udp":{},"80/tcp":{},"90/tcp":{},)"
            R"("91/tcp":{}}})");
  EXPECT_EQ(Changed({"VOLUME /a /b"}), R"({"Volumes":{"/a":{},"/b":{}}})");
  EXPECT_EQ(Changed({"VOLUME [\"/a b\"]"}), R"({"Volumes":{"/a b":{}}})");
  EXPECT_EQ(Changed({"WORKDIR /a\nWORKDIR b", "USER me", "STOPSIGNAL 9"}),
            R"({"StopSignal":"9","User":"me","WorkingDir":"/a/b"})");
  EXPECT_EQ(Changed({"ONBUILD RUN x"}), R"({"OnBuild":["RUN x"]})");
  EXPECT_EQ(Changed({"HEALTHCHECK --interval=1m30s --retries=2 CMD curl x"}),
            R"({"Healthcheck":{"Interval":90000000000,"Retries":2,)"
            R"("Test":["CMD-SHELL","curl x"]}})");
  EXPECT_EQ(Changed({"HEALTHCHECK NONE"}),
            R"({"Healthcheck":{"Test":["NONE"]}})");
}

TEST(ImageChanges, AnEntryPointDropsTheCommandBeforeIt) {
  const Json config = {{"Cmd", Json::array({"old"})}};
  EXPECT_EQ(Changed({"ENTRYPOINT [\"e\"]"}, config),
            R"({"Cmd":null,"Entrypoint":["e"]})");
  EXPECT_EQ(Changed({"CMD [\"new\"]", "ENTRYPOINT [\"e\"]"}, config),
            R"({"Cmd":["new"],"Entrypoint":["e"]})");
}

TEST(ImageChanges, VariablesAreReplacedInPlace) {
  const Json config = {{"Env", Json::array({"A=1", "B=2"})}};
  EXPECT_EQ(Changed({"ENV A=3"}, config), R"({"Env":["A=3","B=2"]})");
}

TEST(ImageChanges, RefuseTheRest) {
  EXPECT_THAT(Changed({"RUN x"}), HasSubstr("RUN is not a valid change"));
  EXPECT_THAT(Changed({"ENV"}), HasSubstr("at least one argument"));
  EXPECT_THAT(Changed({"ENV A"}), HasSubstr("two arguments"));
  EXPECT_THAT(Changed({"ENV A=1 B"}), HasSubstr("can't find ="));
  EXPECT_THAT(Changed({"ENV A=\"1"}), HasSubstr("matching quote"));
  EXPECT_THAT(Changed({"EXPOSE 99999"}), HasSubstr("invalid containerPort"));
  EXPECT_THAT(Changed({"EXPOSE 2-1"}), HasSubstr("invalid containerPort"));
  EXPECT_THAT(Changed({"HEALTHCHECK --interval=x CMD y"}),
              HasSubstr("invalid duration"));
  EXPECT_THAT(Changed({"HEALTHCHECK RUN"}), HasSubstr("Unknown type"));
}

TEST(ImageChanges, AContainersConfigurationWins) {
  Json config = {{"Env", Json::array({"A=1", "B=2"})},
                 {"Cmd", Json::array({"image"})},
                 {"Entrypoint", Json::array({"init"})},
                 {"Labels", {{"a", "1"}}}};
  MergeContainerConfig({{"Env", Json::array({"B=3"})},
                        {"Entrypoint", Json::array({"mine"})},
                        {"Cmd", nullptr},
                        {"Labels", {{"b", "2"}}},
                        {"User", ""}},
                       config);
  EXPECT_EQ(DumpJson(config),
            R"({"Cmd":null,"Entrypoint":["mine"],"Env":["A=1","B=3"],)"
            R"("Labels":{"a":"1","b":"2"}})");
}

}  // namespace
}  // namespace berth::docker
