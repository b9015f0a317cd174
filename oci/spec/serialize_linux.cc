#include <string_view>

#include "oci/spec/serialize_parts.h"

namespace berth::oci {
namespace {

void WriteNamespace(JsonWriter& writer, const NamespaceSpec& entry) {
  writer.BeginObject();
  writer.Always("type", std::string_view(NamespaceTypeName(entry.type)));
  writer.Member("path", entry.path);
  writer.EndObject();
}

void WriteDevice(JsonWriter& writer, const DeviceNode& device) {
  writer.BeginObject();
  writer.Always("path", device.path);
  writer.Always("type", std::string_view(&device.type, 1));
  writer.Always("major", device.major);
  writer.Always("minor", device.minor);
  writer.Member("fileMode", device.file_mode);
  writer.Member("uid", device.uid);
  writer.Member("gid", device.gid);
  writer.EndObject();
}

void WriteSeccompArg(JsonWriter& writer, const SeccompArg& arg) {
  writer.BeginObject();
  writer.Always("index", arg.index);
  writer.Always("value", arg.value);
  if (arg.value_two != 0) writer.Always("valueTwo", arg.value_two);
  writer.Always("op", arg.op);
  writer.EndObject();
}

void WriteSeccompRule(JsonWriter& writer, const SeccompRule& rule) {
  writer.BeginObject();
  writer.Always("names", rule.names);
  writer.Always("action", rule.action);
  writer.Member("errnoRet", rule.errno_ret);
  writer.List("args", rule.args, WriteSeccompArg);
  writer.EndObject();
}

void WriteTimeOffsets(JsonWriter& writer, const Linux& linux) {
  if (linux.time_offsets.empty()) return;
  writer.Key("timeOffsets");
  writer.BeginObject();
  for (const auto& [clock, offset] : linux.time_offsets) {
    writer.Key(clock);
    writer.BeginObject();
    writer.Always("secs", offset.secs);
    writer.Always("nanosecs", offset.nanosecs);
    writer.EndObject();
  }
  writer.EndObject();
}

void WriteNetDevices(JsonWriter& writer, const Linux& linux) {
  if (linux.net_devices.empty()) return;
  writer.Key("netDevices");
  writer.BeginObject();
  for (const auto& [device, name] : linux.net_devices) {
    writer.Key(device);
    writer.BeginObject();
    writer.Member("name", name);
    writer.EndObject();
  }
  writer.EndObject();
}

void WriteIntelRdt(JsonWriter& writer, const Linux& linux) {
  if (!linux.intel_rdt.has_value()) return;
  writer.Key("intelRdt");
  writer.BeginObject();
  writer.Member("closID", linux.intel_rdt->clos_id);
  writer.Member("schemata", linux.intel_rdt->schemata);
  writer.Member("l3CacheSchema", linux.intel_rdt->l3_cache_schema);
  writer.Member("memBwSchema", linux.intel_rdt->mem_bw_schema);
  if (linux.intel_rdt->enable_monitoring) {
    writer.Always("enableMonitoring", true);
  }
  writer.EndObject();
}

}  // namespace

void WriteIdMapping(JsonWriter& writer, const IdMapping& mapping) {
  writer.BeginObject();
  writer.Always("containerID", mapping.container_id);
  writer.Always("hostID", mapping.host_id);
  writer.Always("size", mapping.size);
  writer.EndObject();
}

void WriteSeccomp(JsonWriter& writer, const Seccomp& seccomp) {
  writer.BeginObject();
  writer.Always("defaultAction", seccomp.default_action);
  writer.Member("defaultErrnoRet", seccomp.default_errno_ret);
  writer.Member("architectures", seccomp.architectures);
  writer.Member("flags", seccomp.flags);
  writer.Member("listenerPath", seccomp.listener_path);
  writer.Member("listenerMetadata", seccomp.listener_metadata);
  writer.List("syscalls", seccomp.syscalls, WriteSeccompRule);
  writer.List("berth.also", seccomp.also, WriteSeccomp);
  writer.EndObject();
}

void WriteLinux(JsonWriter& writer, const Linux& linux) {
  writer.BeginObject();
  writer.List("uidMappings", linux.uid_mappings, WriteIdMapping);
  writer.List("gidMappings", linux.gid_mappings, WriteIdMapping);
  writer.Member("sysctl", linux.sysctl);
  if (linux.resources.has_value()) {
    writer.Key("resources");
    WriteResources(writer, *linux.resources);
  }
  writer.Member("cgroupsPath", linux.cgroups_path);
  writer.List("namespaces", linux.namespaces, WriteNamespace);
  writer.List("devices", linux.devices, WriteDevice);
  if (linux.seccomp.has_value()) {
    writer.Key("seccomp");
    WriteSeccomp(writer, *linux.seccomp);
  }
  writer.Member("rootfsPropagation", linux.rootfs_propagation);
  writer.Member("maskedPaths", linux.masked_paths);
  writer.Member("readonlyPaths", linux.readonly_paths);
  writer.Member("mountLabel", linux.mount_label);
  if (linux.personality != Personality()) {
    writer.Key("personality");
    writer.BeginObject();
    writer.Member("domain", linux.personality.domain);
    writer.Member("flags", linux.personality.flags);
    writer.EndObject();
  }
  WriteMemoryPolicy(writer, linux);
  WriteTimeOffsets(writer, linux);
  WriteNetDevices(writer, linux);
  WriteIntelRdt(writer, linux);
  writer.EndObject();
}

}  // namespace berth::oci
