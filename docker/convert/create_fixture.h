// The body of a create request and an image, for the tests of its conversion.
#ifndef DOCKER_CONVERT_CREATE_FIXTURE_H_
#define DOCKER_CONVERT_CREATE_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "api/state/v1/image.pb.h"
#include "api/state/v1/state.pb.h"
#include "base/json.h"
#include "base/status.h"
#include "base/testing/json.h"
#include "base/testing/status_matchers.h"
#include "docker/convert/create_request.h"

namespace berth::docker {

// What the CLI sends for `docker run img echo hi`.
constexpr char kBaseline[] =
    R"({"Hostname":"","Domainname":"","User":"","AttachStdin":false,)"
    R"("AttachStdout":true,"AttachStderr":true,"Tty":false,"OpenStdin":false,)"
    R"("StdinOnce":false,"Env":null,"Cmd":["echo","hi"],"Image":"img",)"
    R"("Volumes":{},"WorkingDir":"","Entrypoint":null,"OnBuild":null,)"
    R"("Labels":{},"HostConfig":{"Binds":null,"ContainerIDFile":"",)"
    R"("LogConfig":{"Type":"","Config":{}},"NetworkMode":"default",)"
    R"("PortBindings":{},"RestartPolicy":{"Name":"no","MaximumRetryCount":0},)"
    R"("AutoRemove":false,"VolumeDriver":"","VolumesFrom":null,)"
    R"("ConsoleSize":[0,0],"CapAdd":null,"CapDrop":null,"CgroupnsMode":"",)"
    R"("Dns":[],"DnsOptions":[],"DnsSearch":[],"ExtraHosts":null,)"
    R"("GroupAdd":null,"IpcMode":"","Cgroup":"","Links":null,)"
    R"("OomScoreAdj":0,"PidMode":"","Privileged":false,)"
    R"("PublishAllPorts":false,"ReadonlyRootfs":false,"SecurityOpt":null,)"
    R"("UTSMode":"","UsernsMode":"","ShmSize":0,"Isolation":"",)"
    R"("CpuShares":0,"Memory":0,"NanoCpus":0,"CgroupParent":"",)"
    R"("BlkioWeight":0,"BlkioWeightDevice":[],"BlkioDeviceReadBps":[],)"
    R"("BlkioDeviceWriteBps":[],"BlkioDeviceReadIOps":[],)"
    R"("BlkioDeviceWriteIOps":[],"CpuPeriod":0,"CpuQuota":0,)"
    R"("CpuRealtimePeriod":0,"CpuRealtimeRuntime":0,"CpusetCpus":"",)"
    R"("CpusetMems":"","Devices":[],"DeviceCgroupRules":null,)"
    R"("DeviceRequests":null,"MemoryReservation":0,"MemorySwap":0,)"
    R"("MemorySwappiness":-1,"OomKillDisable":false,"PidsLimit":0,)"
    R"("Ulimits":[],"CpuCount":0,"CpuPercent":0,"IOMaximumIOps":0,)"
    R"("IOMaximumBandwidth":0,"MaskedPaths":null,"ReadonlyPaths":null},)"
    R"("NetworkingConfig":{"EndpointsConfig":{"default":{"IPAMConfig":null,)"
    R"("Links":null,"Aliases":null,"MacAddress":"","DriverOpts":null,)"
    R"("GwPriority":0,"NetworkID":"","EndpointID":"","Gateway":"",)"
    R"("IPAddress":"","IPPrefixLen":0,"IPv6Gateway":"",)"
    R"("GlobalIPv6Address":"","GlobalIPv6PrefixLen":0,"DNSNames":null}}}})";

class CreateTest : public ::testing::Test {
 protected:
  CreateTest() : body_(Parsed(kBaseline)) {
    image_.add_entrypoint("/entry");
    image_.add_cmd("run");
    image_.add_env("PATH=/bin");
    image_.add_env("A=image");
    image_.set_user("7");
    image_.set_working_dir("/w");
    image_.set_stop_signal("SIGQUIT");
    (*image_.mutable_labels())["from"] = "image";
    image_.add_volumes("/data");
  }
  Json& host() { return body_["HostConfig"]; }
  void SetHost(const Json& members) {
    for (const auto& [name, value] : members.members()) host()[name] = value;
  }
  StatusOr<CreateRequest> Convert() { return ConvertCreate(body_, image_); }
  // Of a body with this HostConfig.
  StatusOr<CreateRequest> Hosted(const char* host) {
    Json body = body_;
    body["HostConfig"] = Parsed(host);
    return ConvertCreate(body, image_);
  }
  // Of a body with `HostConfig.<name>` = value.
  Status With(const std::string& name, const Json& value) {
    Json body = body_;
    body["HostConfig"][name] = value;
    return ConvertCreate(body, image_).status();
  }
  Json body_;
  state::v1::ImageConfig image_;
};

}  // namespace berth::docker

#endif  // DOCKER_CONVERT_CREATE_FIXTURE_H_
