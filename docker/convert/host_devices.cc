// The devices of a create request.
#include <string>
#include <vector>

#include "docker/convert/host_field.h"

namespace berth::docker {
namespace {

Status Devices(const Field& field) {
  for (const Json& element : field.reader.Array("Devices")) {
    JsonReader reader(element, "HostConfig.Devices");
    std::string text;
    auto* device = field.request.container.add_devices();
    reader.Get("PathOnHost", text);
    device->set_host_path(text);
    reader.Get("PathInContainer", text);
    device->set_container_path(text);
    reader.Get("CgroupPermissions", text);
    device->set_permissions(text);
    RETURN_IF_ERROR(reader.status());
  }
  return OkStatus();
}

Status DeviceRules(const Field& field) {
  for (const std::string& rule : field.List()) {
    field.request.container.add_device_rules(rule);
  }
  return OkStatus();
}

// [["gpu","nvidia"],["x"]] -> "[[gpu nvidia] [x]]", as Go prints a list.
StatusOr<std::string> InBrackets(const Field& field, const Json::Array& lists) {
  std::vector<std::string> texts;
  for (const Json& list : lists) {
    if (!list.is_array()) return field.Invalid("Capabilities: not a list");
    std::vector<std::string> words;
    for (const Json& word : list.elements()) {
      if (!word.is_string()) return field.Invalid("Capabilities: not a word");
      words.push_back(*word.AsText());
    }
    texts.push_back("[" + Join(words, " ") + "]");
  }
  return "[" + Join(texts, " ") + "]";
}

// CDI is the one driver: --device vendor.com/class=name.
Status DeviceRequests(const Field& field) {
  for (const Json& element : field.reader.Array("DeviceRequests")) {
    JsonReader reader(element, "HostConfig.DeviceRequests");
    std::string driver;
    std::vector<std::string> ids;
    int64_t count = 0;
    reader.Get("Driver", driver);
    reader.Get("DeviceIDs", ids);
    reader.Get("Count", count);
    const Json::Array& capabilities = reader.Array("Capabilities");
    RETURN_IF_ERROR(reader.status());
    ASSIGN_OR_RETURN(const std::string wanted, InBrackets(field, capabilities));
    if (driver != "cdi") {
      return InvalidArgument("could not select device driver " +
                             Quoted(driver) + " with capabilities: " + wanted);
    }
    if (count != 0) return field.Invalid("CDI devices are named, not counted");
    for (const std::string& id : ids) {
      field.request.container.add_cdi_devices(id);
    }
  }
  return OkStatus();
}

}  // namespace

const std::map<std::string, Apply>& DeviceFields() {
  static const auto& table = *new std::map<std::string, Apply>{
      {"DeviceCgroupRules", DeviceRules},
      {"DeviceRequests", DeviceRequests},
      {"Devices", Devices},
  };
  return table;
}

}  // namespace berth::docker
