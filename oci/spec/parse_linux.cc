#include <string>
#include <vector>

#include "oci/spec/parse_parts.h"

namespace berth::oci {
namespace {

StatusOr<NamespaceSpec> NamespaceFromJson(const Json& json,
                                          const std::string& path) {
  JsonReader reader(json, path);
  std::string type;
  NamespaceSpec entry;
  reader.Get("type", type);
  reader.Get("path", entry.path);
  RETURN_IF_ERROR(reader.status());
  const auto known = NamespaceTypeFromName(type);
  if (!known.has_value()) {
    reader.Fail("type", "is not a kind of namespace: \"" + type + "\"");
    return reader.status();
  }
  entry.type = *known;
  return entry;
}

StatusOr<DeviceNode> DeviceFromJson(const Json& json, const std::string& path) {
  JsonReader reader(json, path);
  DeviceNode device;
  std::string type;
  reader.Get("path", device.path);
  reader.Get("type", type);
  reader.Get("major", device.major);
  reader.Get("minor", device.minor);
  reader.Get("fileMode", device.file_mode);
  reader.Get("uid", device.uid);
  reader.Get("gid", device.gid);
  if (type != "c" && type != "u" && type != "b" && type != "p") {
    reader.Fail("type", "is none of c, u, b, p");
  }
  RETURN_IF_ERROR(reader.status());
  device.type = type[0];
  return device;
}

StatusOr<SeccompArg> SeccompArgFromJson(const Json& json,
                                        const std::string& path) {
  JsonReader reader(json, path);
  SeccompArg arg;
  reader.Get("index", arg.index);
  reader.Get("value", arg.value);
  reader.Get("valueTwo", arg.value_two);
  reader.Get("op", arg.op);
  RETURN_IF_ERROR(reader.status());
  return arg;
}

StatusOr<SeccompRule> SeccompRuleFromJson(const Json& json,
                                          const std::string& path) {
  JsonReader reader(json, path);
  SeccompRule rule;
  reader.Get("names", rule.names);
  reader.Get("action", rule.action);
  reader.Get("errnoRet", rule.errno_ret);
  ASSIGN_OR_RETURN(rule.args, ParseList(reader, "args", SeccompArgFromJson));
  RETURN_IF_ERROR(reader.status());
  return rule;
}

StatusOr<TimeOffset> TimeOffsetFromJson(const Json& json,
                                        const std::string& path) {
  JsonReader reader(json, path);
  TimeOffset offset;
  reader.Get("secs", offset.secs);
  reader.Get("nanosecs", offset.nanosecs);
  RETURN_IF_ERROR(reader.status());
  return offset;
}

StatusOr<std::string> NetDeviceFromJson(const Json& json,
                                        const std::string& path) {
  JsonReader reader(json, path);
  std::string name;
  reader.Get("name", name);
  RETURN_IF_ERROR(reader.status());
  return name;
}

StatusOr<IntelRdt> IntelRdtFromJson(const Json& json, const std::string& path) {
  JsonReader reader(json, path);
  IntelRdt rdt;
  bool cache_monitoring = false;
  bool bandwidth_monitoring = false;
  reader.Get("closID", rdt.clos_id);
  reader.Get("schemata", rdt.schemata);
  reader.Get("l3CacheSchema", rdt.l3_cache_schema);
  reader.Get("memBwSchema", rdt.mem_bw_schema);
  reader.Get("enableMonitoring", rdt.enable_monitoring);
  // Of versions before 1.3.
  reader.Get("enableCMT", cache_monitoring);
  reader.Get("enableMBM", bandwidth_monitoring);
  rdt.enable_monitoring |= cache_monitoring || bandwidth_monitoring;
  RETURN_IF_ERROR(reader.status());
  return rdt;
}

StatusOr<Personality> PersonalityFromJson(const Json& json,
                                          const std::string& path) {
  JsonReader reader(json, path);
  Personality personality;
  reader.Get("domain", personality.domain);
  reader.Get("flags", personality.flags);
  RETURN_IF_ERROR(reader.status());
  return personality;
}

}  // namespace

StatusOr<IdMapping> IdMappingFromJson(const Json& json,
                                      const std::string& path) {
  JsonReader reader(json, path);
  IdMapping mapping;
  reader.Get("containerID", mapping.container_id);
  reader.Get("hostID", mapping.host_id);
  reader.Get("size", mapping.size);
  RETURN_IF_ERROR(reader.status());
  return mapping;
}

namespace {

StatusOr<Seccomp> OneSeccompFromJson(const Json& json,
                                     const std::string& path) {
  JsonReader reader(json, path);
  Seccomp seccomp;
  reader.Get("defaultAction", seccomp.default_action);
  reader.Get("defaultErrnoRet", seccomp.default_errno_ret);
  reader.Get("architectures", seccomp.architectures);
  reader.Get("flags", seccomp.flags);
  reader.Get("listenerPath", seccomp.listener_path);
  reader.Get("listenerMetadata", seccomp.listener_metadata);
  ASSIGN_OR_RETURN(seccomp.syscalls,
                   ParseList(reader, "syscalls", SeccompRuleFromJson));
  RETURN_IF_ERROR(reader.status());
  return seccomp;
}

}  // namespace

StatusOr<Seccomp> SeccompFromJson(const Json& json, const std::string& path) {
  ASSIGN_OR_RETURN(Seccomp seccomp, OneSeccompFromJson(json, path));
  JsonReader reader(json, path);
  ASSIGN_OR_RETURN(seccomp.also,
                   ParseList(reader, "berth.also", OneSeccompFromJson));
  RETURN_IF_ERROR(reader.status());
  return seccomp;
}

StatusOr<Linux> LinuxFromJson(const Json& json, const std::string& path) {
  JsonReader reader(json, path);
  Linux linux;
  reader.Get("sysctl", linux.sysctl);
  reader.Get("cgroupsPath", linux.cgroups_path);
  reader.Get("rootfsPropagation", linux.rootfs_propagation);
  reader.Get("maskedPaths", linux.masked_paths);
  reader.Get("readonlyPaths", linux.readonly_paths);
  reader.Get("mountLabel", linux.mount_label);
  ASSIGN_OR_RETURN(linux.uid_mappings,
                   ParseList(reader, "uidMappings", IdMappingFromJson));
  ASSIGN_OR_RETURN(linux.gid_mappings,
                   ParseList(reader, "gidMappings", IdMappingFromJson));
  ASSIGN_OR_RETURN(linux.namespaces,
                   ParseList(reader, "namespaces", NamespaceFromJson));
  ASSIGN_OR_RETURN(linux.devices, ParseList(reader, "devices", DeviceFromJson));
  ASSIGN_OR_RETURN(linux.personality,
                   ParseMember(reader, "personality", PersonalityFromJson));
  if (reader.Has("resources")) {
    ASSIGN_OR_RETURN(linux.resources,
                     ParseMember(reader, "resources", ResourcesFromJson));
  }
  if (reader.Has("seccomp")) {
    ASSIGN_OR_RETURN(linux.seccomp,
                     ParseMember(reader, "seccomp", SeccompFromJson));
  }
  RETURN_IF_ERROR(ParseOptional(reader, "memoryPolicy", MemoryPolicyFromJson,
                                linux.memory_policy));
  for (const auto& [clock, value] : reader.Object("timeOffsets")) {
    ASSIGN_OR_RETURN(
        linux.time_offsets[clock],
        TimeOffsetFromJson(value, reader.PathOf("timeOffsets." + clock)));
  }
  for (const auto& [device, value] : reader.Object("netDevices")) {
    ASSIGN_OR_RETURN(
        linux.net_devices[device],
        NetDeviceFromJson(value, reader.PathOf("netDevices." + device)));
  }
  RETURN_IF_ERROR(
      ParseOptional(reader, "intelRdt", IntelRdtFromJson, linux.intel_rdt));
  RETURN_IF_ERROR(reader.status());
  return linux;
}

}  // namespace berth::oci
