#include "docker/convert/link_env.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/json.h"

namespace berth::docker {
namespace {

using ::testing::ElementsAre;

TEST(LinkEnvTest, TellsOfPortsNameAndVariables) {
  const Json config = Parsed(R"({
      "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
      "Env": ["A=1", "PATH=/bin", "HOME=/", "NOTHING", "B=x=y"]})");
  EXPECT_THAT(
      LinkEnv({"/parent/my-db", "10.0.0.2", config}),
      ElementsAre(
          "MY_DB_PORT=tcp://10.0.0.2:80", "MY_DB_PORT_80_TCP=tcp://10.0.0.2:80",
          "MY_DB_PORT_80_TCP_ADDR=10.0.0.2", "MY_DB_PORT_80_TCP_PORT=80",
          "MY_DB_PORT_80_TCP_PROTO=tcp", "MY_DB_PORT_53_UDP=udp://10.0.0.2:53",
          "MY_DB_PORT_53_UDP_ADDR=10.0.0.2", "MY_DB_PORT_53_UDP_PORT=53",
          "MY_DB_PORT_53_UDP_PROTO=udp", "MY_DB_NAME=/parent/my-db",
          "MY_DB_ENV_A=1", "MY_DB_ENV_B=x=y"));
}

TEST(LinkEnvTest, TellsOfRangesOfPorts) {
  const auto env =
      LinkEnv({"/p/db", "10.0.0.2",
               Parsed(R"({"ExposedPorts": {"7000/tcp": {}, "7001/tcp": {},
                                   "7002/tcp": {}}})")});
  EXPECT_THAT(std::vector(env.begin(), env.begin() + 7),
              ElementsAre("DB_PORT=tcp://10.0.0.2:7000",
                          "DB_PORT_7000_TCP_START=tcp://10.0.0.2:7000",
                          "DB_PORT_7000_TCP_ADDR=10.0.0.2",
                          "DB_PORT_7000_TCP_PROTO=tcp",
                          "DB_PORT_7000_TCP_PORT_START=7000",
                          "DB_PORT_7000_TCP_END=tcp://10.0.0.2:7002",
                          "DB_PORT_7000_TCP_PORT_END=7002"));
}

TEST(LinkEnvTest, NeedsNothingOfTheOther) {
  EXPECT_THAT(LinkEnv({"/p/db", "10.0.0.2", Parsed(R"({"Env": [7, null],
                        "ExposedPorts": {"x": {}, "/": {}}})")}),
              ElementsAre("DB_NAME=/p/db"));
}

}  // namespace
}  // namespace berth::docker
