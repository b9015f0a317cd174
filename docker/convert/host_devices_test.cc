// Devices, disks, logs and other containers' volumes of HostConfig.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "docker/convert/create_fixture.h"
#include "docker/convert/log_tag.h"

namespace berth::docker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class HostDevicesTest : public CreateTest {
 protected:
  CreateRequest Request(const char* host) {
    StatusOr<CreateRequest> request = Hosted(host);
    EXPECT_OK(request) << host;
    return request.ok() ? *request : CreateRequest();
  }
  void ExpectInvalid(const char* host, const char* words) {
    EXPECT_THAT(Hosted(host),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr(words)))
        << host;
  }
};

TEST_F(HostDevicesTest, DisksHaveWeightsAndRates) {
  const CreateRequest request = Request(
      R"({"BlkioWeight": 500,
          "BlkioWeightDevice": [{"Path": "/dev/a", "Weight": 10}],
          "BlkioDeviceReadBps": [{"Path": "/dev/b", "Rate": 1}],
          "BlkioDeviceWriteBps": [{"Path": "/dev/c", "Rate": 2}],
          "BlkioDeviceReadIOps": [{"path": "/dev/d", "rate": 3}],
          "BlkioDeviceWriteIOps": [{"Path": "/dev/e", "Rate": 4}]})");
  const auto& limits = request.container.resources();
  EXPECT_EQ(limits.blkio_weight(), 500u);
  ASSERT_THAT(limits.blkio_weight_devices(), SizeIs(1));
  EXPECT_EQ(limits.blkio_weight_devices(0).path(), "/dev/a");
  EXPECT_EQ(limits.blkio_weight_devices(0).weight(), 10u);
  EXPECT_EQ(limits.blkio_read_bps(0).path(), "/dev/b");
  EXPECT_EQ(limits.blkio_read_bps(0).rate(), 1u);
  EXPECT_EQ(limits.blkio_write_bps(0).rate(), 2u);
  EXPECT_EQ(limits.blkio_read_iops(0).path(), "/dev/d");
  EXPECT_EQ(limits.blkio_write_iops(0).rate(), 4u);
}

TEST_F(HostDevicesTest, WrongWeightsAndRatesAreRefused) {
  ExpectInvalid(R"({"BlkioWeight": 9})", "from 10 to 1000");
  ExpectInvalid(R"({"BlkioWeight": 1001})", "from 10 to 1000");
  ExpectInvalid(R"({"BlkioWeight": -1})", "from 10 to 1000");
  ExpectInvalid(R"({"BlkioWeightDevice": [{"Path": "/a", "Weight": 5}]})",
                "from 10 to 1000");
  ExpectInvalid(R"({"BlkioDeviceReadBps": [{"Path": "/a", "Rate": -1}]})",
                "Rate");
  ExpectInvalid(R"({"BlkioDeviceReadBps": [7]})", "BlkioDeviceReadBps");
}

TEST_F(HostDevicesTest, DevicesAreNamedByCdi) {
  const CreateRequest request = Request(
      R"({"DeviceRequests": [{"Driver": "cdi", "Count": 0,
            "DeviceIDs": ["v.com/c=a", "v.com/c=b"]}]})");
  EXPECT_THAT(request.container.cdi_devices(),
              ElementsAre("v.com/c=a", "v.com/c=b"));
  ExpectInvalid(
      R"({"DeviceRequests": [{"Driver": "", "Count": -1,
            "Capabilities": [["gpu", "nvidia"], ["x"]]}]})",
      R"(device driver "" with capabilities: [[gpu nvidia] [x]])");
  ExpectInvalid(R"({"DeviceRequests": [{"Driver": "cdi", "Count": 2}]})",
                "not counted");
  ExpectInvalid(R"({"DeviceRequests": [{"Capabilities": [3]}]})",
                "Capabilities");
  ExpectInvalid(R"({"DeviceRequests": [{"Capabilities": [[3]]}]})",
                "Capabilities");
}

TEST_F(HostDevicesTest, VolumesComeFromOthers) {
  const CreateRequest request =
      Request(R"({"VolumesFrom": ["one", "two:ro", "three:rw", "four:z"]})");
  ASSERT_THAT(request.volumes_from, SizeIs(4));
  EXPECT_EQ(request.volumes_from[0].container, "one");
  EXPECT_FALSE(request.volumes_from[0].readonly);
  EXPECT_EQ(request.volumes_from[1].container, "two");
  EXPECT_TRUE(request.volumes_from[1].readonly);
  EXPECT_FALSE(request.volumes_from[2].readonly);
  ExpectInvalid(R"({"VolumesFrom": [":ro"]})", "volumes-from");
  ExpectInvalid(R"({"VolumesFrom": ["one:odd"]})", "invalid mode: odd");
}

TEST_F(HostDevicesTest, AnnotationsAreTheContainers) {
  const CreateRequest request = Request(R"({"Annotations": {"a": "b"}})");
  EXPECT_EQ(request.container.annotations().at("a"), "b");
  ExpectInvalid(R"({"Annotations": {"a": 1}})", "Annotations");
}

TEST_F(HostDevicesTest, AUmaskIsTheContainersIfThereIsOne) {
  EXPECT_FALSE(Request("{}").container.security().has_umask());
  EXPECT_FALSE(Request(R"({"Umask": null})").container.security().has_umask());
  const CreateRequest none = Request(R"({"Umask": 0})");
  EXPECT_TRUE(none.container.security().has_umask());
  EXPECT_EQ(none.container.security().umask(), 0u);
  EXPECT_EQ(Request(R"({"Umask": 511})").container.security().umask(), 0777u);
  EXPECT_EQ(At(none.host_config, "/Umask"), 0) << "inspect shows it";
  ExpectInvalid(R"({"Umask": 512})", "above 0777");
  ExpectInvalid(R"({"Umask": "022"})", "Umask");
  ExpectInvalid(R"({"Umask": -1})", "Umask");
}

TEST_F(HostDevicesTest, LogsAreMarkedAndBounded) {
  body_["Env"] = Parsed(R"(["STAGE=test", "OTHER=no", "PATH"])");
  SetHost(Parsed(
      R"({"LogConfig": {"Type": "json-file", "Config": {
            "labels": "from,none", "env": "STAGE,PATH", "tag": "{{.Name}}",
            "mode": "non-blocking", "max-buffer-size": "4m",
            "compress": "false", "max-size": "1k"}}})"));
  StatusOr<CreateRequest> request = Convert();
  ASSERT_OK(request);
  const auto& log = request->container.log();
  EXPECT_THAT(log.tags(), SizeIs(2));
  EXPECT_EQ(log.tags().at("from"), "image");
  EXPECT_EQ(log.tags().at("STAGE"), "test");
  EXPECT_EQ(request->log_tag, "{{.Name}}");
  EXPECT_EQ(log.max_size(), 1024);
  EXPECT_EQ(log.max_files(), 1u);

  SetHost(Parsed(R"({"LogConfig": {"Config": {"env-regex": "^STA|^OTH",
                                              "labels-regex": "fro."}}})"));
  EXPECT_THAT(Convert()->container.log().tags(), SizeIs(3));
  SetHost(Parsed(R"({"LogConfig": {"Type": "local"}})"));
  EXPECT_EQ(Convert()->container.log().max_size(), 20 << 20);
  EXPECT_EQ(Convert()->container.log().max_files(), 5u);
}

TEST_F(HostDevicesTest, WrongLogOptionsAreRefused) {
  ExpectInvalid(R"({"LogConfig": {"Config": {"what": "x"}}})",
                "unknown log opt 'what' for json-file log driver");
  ExpectInvalid(R"({"LogConfig": {"Type": "none", "Config": {"tag": "x"}}})",
                "unknown log opt 'tag' for none log driver");
  ExpectInvalid(R"({"LogConfig": {"Config": {"tag": "{{.Pid}}"}}})", ".Pid");
  ExpectInvalid(R"({"LogConfig": {"Config": {"tag": "{{.ID"}}})", "not closed");
  ExpectInvalid(R"({"LogConfig": {"Config": {"mode": "odd"}}})", "odd");
  EXPECT_THAT(With("LogConfig", Parsed(R"({"Config": {"compress": "true"}})")),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("compress")));
  const std::string value(20'000, 'x');
  body_["Env"] = Json::array();
  body_["Env"].push_back("LONG=" + value);
  EXPECT_THAT(With("LogConfig", Parsed(R"({"Config": {"env": "LONG"}})")),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("16 KiB")));
}

TEST_F(HostDevicesTest, ATagNamesTheContainer) {
  const LogTagFields fields = {std::string(64, 'a'), "box",
                               "sha256:" + std::string(64, 'b'), "img:1"};
  EXPECT_EQ(RenderLogTag("{{.Name}}|{{ .FullName }}|{{.ID}}", fields),
            "box|/box|aaaaaaaaaaaa");
  EXPECT_EQ(RenderLogTag("{{.ImageID}} {{.ImageName}}", fields),
            "bbbbbbbbbbbb img:1");
  EXPECT_EQ(RenderLogTag("{{.FullID}}{{.ImageFullID}}", fields),
            fields.id + fields.image_id);
  EXPECT_EQ(RenderLogTag("plain {x}", fields), "plain {x}");
}

TEST_F(HostDevicesTest, AMacAddressMayBeTheContainers) {
  body_["MacAddress"] = "02:42:AC:11:00:09";
  StatusOr<CreateRequest> request = Convert();
  ASSERT_OK(request);
  EXPECT_EQ(request->mac, "02:42:ac:11:00:09");
  body_["MacAddress"] = "02:42";
  EXPECT_THAT(Convert(), StatusIs(StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace berth::docker
