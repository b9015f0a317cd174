// One field of HostConfig, and what it does to the request.
#ifndef DOCKER_CONVERT_HOST_FIELD_H_
#define DOCKER_CONVERT_HOST_FIELD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "base/strings.h"
#include "docker/convert/create_request.h"
#include "docker/convert/member_names.h"

namespace berth::docker {

// What a field's function works on.
struct Field {
  const std::string& name;
  JsonReader& reader;  // of HostConfig
  CreateRequest& request;

  state::v1::Resources& resources() const {
    return *request.container.mutable_resources();
  }
  state::v1::ContainerSecurity& security() const {
    return *request.container.mutable_security();
  }
  // The sandbox's and the container's must say the same.
  void ForNamespaces(
      const std::function<void(state::v1::NamespaceOptions&)>& change) const {
    change(*request.sandbox.mutable_namespaces());
    change(*security().mutable_namespaces());
  }
  std::string Text() const {
    std::string text;
    reader.Get(name.c_str(), text);
    return text;
  }
  int64_t Number() const {
    int64_t number = 0;
    reader.Get(name.c_str(), number);
    return number;
  }
  bool Flag() const {
    bool flag = false;
    reader.Get(name.c_str(), flag);
    return flag;
  }
  std::vector<std::string> List() const {
    std::vector<std::string> list;
    reader.Get(name.c_str(), list);
    return list;
  }
  std::map<std::string, std::string> Map() const {
    std::map<std::string, std::string> map;
    reader.Get(name.c_str(), map);
    return map;
  }
  Status Unsupported(const std::string& value) const {
    return Unimplemented("HostConfig." + name + ": " + Quoted(value) +
                         " is not supported");
  }
  Status Invalid(const std::string& why) const {
    return InvalidArgument("HostConfig." + name + ": " + why);
  }
};

// INVALID_ARGUMENT or UNIMPLEMENTED for a value; a wrong type is in the
// reader's status.
using Apply = std::function<Status(const Field&)>;

// Of a function that cannot fail but by the reader's status.
inline Apply Simple(void (*apply)(const Field&)) {
  return [apply](const Field& field) {
    apply(field);
    return OkStatus();
  };
}

// Memory, CPUs, pids and the like: by name.
const std::map<std::string, Apply>& ResourceFields();
const std::map<std::string, Apply>& BlkioFields();
const std::map<std::string, Apply>& DeviceFields();

// HostConfig.LogConfig; the labels and variables must have been converted.
Status ConvertLog(const Field& field);

// The members of HostConfig that are honoured.
std::set<std::string> HostFieldNames();
// Members of the body's top level that are the container's own.
const std::set<std::string>& ConfigMembers();
// Of the whole body.
const Shape& CreateShape();

}  // namespace berth::docker

#endif  // DOCKER_CONVERT_HOST_FIELD_H_
