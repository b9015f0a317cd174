// The structures inside of a create request.
#include <map>
#include <set>
#include <string>
#include <utility>

#include "docker/convert/create_request.h"
#include "docker/convert/host_field.h"
#include "docker/convert/member_names.h"

namespace berth::docker {
namespace {

Shape MountShape() {
  return Shape::Struct(
      {{"Type", Shape()},
       {"Source", Shape()},
       {"Target", Shape()},
       {"ReadOnly", Shape()},
       {"Consistency", Shape()},
       {"BindOptions",
        Shape::Struct({"Propagation", "NonRecursive", "CreateMountpoint",
                       "ReadOnlyNonRecursive", "ReadOnlyForceRecursive"})},
       {"VolumeOptions",
        Shape::Struct({{"NoCopy", Shape()},
                       {"Subpath", Shape()},
                       {"Labels", Shape()},
                       {"DriverConfig", Shape::Struct({"Name", "Options"})}})},
       {"ImageOptions", Shape::Struct({"Subpath"})},
       {"TmpfsOptions", Shape::Struct({"SizeBytes", "Mode", "Options"})}});
}

Shape HostShape() {
  std::map<std::string, Shape> members;
  for (const std::string& name : HostFieldNames()) members[name] = Shape();
  for (const char* device : {"BlkioDeviceReadBps", "BlkioDeviceReadIOps",
                             "BlkioDeviceWriteBps", "BlkioDeviceWriteIOps"}) {
    members[device] = Shape::Each(Shape::Struct({"Path", "Rate"}));
  }
  members["BlkioWeightDevice"] = Shape::Each(Shape::Struct({"Path", "Weight"}));
  members["DeviceRequests"] = Shape::Each(Shape::Struct(
      {"Driver", "Count", "DeviceIDs", "Capabilities", "Options"}));
  members["Devices"] = Shape::Each(
      Shape::Struct({"PathOnHost", "PathInContainer", "CgroupPermissions"}));
  members["LogConfig"] = Shape::Struct({"Type", "Config"});
  members["Mounts"] = Shape::Each(MountShape());
  members["PortBindings"] =
      Shape::Each(Shape::Each(Shape::Struct({"HostIp", "HostPort"})));
  members["RestartPolicy"] = Shape::Struct({"Name", "MaximumRetryCount"});
  members["Ulimits"] = Shape::Each(Shape::Struct({"Name", "Soft", "Hard"}));
  return Shape::Struct(std::move(members));
}

}  // namespace

const Shape& CreateShape() {
  static const Shape& shape = *new Shape([] {
    std::map<std::string, Shape> members;
    for (const std::string& name : ConfigMembers()) members[name] = Shape();
    members["Healthcheck"] =
        Shape::Struct({"Test", "Interval", "Timeout", "Retries", "StartPeriod",
                       "StartInterval"});
    members["HostConfig"] = HostShape();
    members["NetworkingConfig"] = Shape::Struct({"EndpointsConfig"});
    return Shape::Struct(std::move(members));
  }());
  return shape;
}

}  // namespace berth::docker
