// How a container shares the host's disks.
#include <string>

#include "docker/convert/host_field.h"

namespace berth::docker {
namespace {

using state::v1::Resources;

bool IsWeight(int64_t weight) {
  return weight == 0 || (weight >= 10 && weight <= 1000);
}

Status Weight(const Field& field) {
  const int64_t weight = field.Number();
  if (!IsWeight(weight)) {
    return InvalidArgument("Range of blkio weight is from 10 to 1000");
  }
  field.resources().set_blkio_weight(static_cast<uint32_t>(weight));
  return OkStatus();
}

Status DeviceWeights(const Field& field) {
  for (const Json& element : field.reader.Array(field.name.c_str())) {
    JsonReader reader(element, "HostConfig." + field.name);
    std::string path;
    int64_t weight = 0;
    reader.Get("Path", path);
    reader.Get("Weight", weight);
    RETURN_IF_ERROR(reader.status());
    if (!IsWeight(weight)) {
      return InvalidArgument("Range of blkio weight is from 10 to 1000");
    }
    auto* const device = field.resources().add_blkio_weight_devices();
    device->set_path(path);
    device->set_weight(static_cast<uint32_t>(weight));
  }
  return OkStatus();
}

// Bytes or operations a second, of each device.
Apply Rates(state::v1::DeviceRate* (Resources::*add)()) {
  return [add](const Field& field) {
    for (const Json& element : field.reader.Array(field.name.c_str())) {
      JsonReader reader(element, "HostConfig." + field.name);
      std::string path;
      uint64_t rate = 0;
      reader.Get("Path", path);
      reader.Get("Rate", rate);
      RETURN_IF_ERROR(reader.status());
      state::v1::DeviceRate* const device = (field.resources().*add)();
      device->set_path(path);
      device->set_rate(rate);
    }
    return OkStatus();
  };
}

}  // namespace

const std::map<std::string, Apply>& BlkioFields() {
  using R = Resources;
  static const auto& table = *new std::map<std::string, Apply>{
      {"BlkioDeviceReadBps", Rates(&R::add_blkio_read_bps)},
      {"BlkioDeviceReadIOps", Rates(&R::add_blkio_read_iops)},
      {"BlkioDeviceWriteBps", Rates(&R::add_blkio_write_bps)},
      {"BlkioDeviceWriteIOps", Rates(&R::add_blkio_write_iops)},
      {"BlkioWeight", Weight},
      {"BlkioWeightDevice", DeviceWeights},
  };
  return table;
}

}  // namespace berth::docker
