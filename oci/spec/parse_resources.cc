#include <string>
#include <utility>
#include <vector>

#include "oci/spec/parse_parts.h"

namespace berth::oci {
namespace {

StatusOr<DeviceRule> DeviceRuleFromJson(const Json& json,
                                        const std::string& path) {
  JsonReader reader(json, path);
  DeviceRule rule;
  std::string type = "a";
  reader.Get("allow", rule.allow);
  reader.Get("type", type);
  reader.Get("major", rule.major);
  reader.Get("minor", rule.minor);
  reader.Get("access", rule.access);
  // 'u' is another name for 'c' (mknod(1)); empty is Go's "not given".
  if (type.empty()) type = "a";
  if (type == "u") type = "c";
  if (type != "a" && type != "b" && type != "c") {
    reader.Fail("type", "is none of a, b, c");
  }
  if (rule.access.empty()) rule.access = "rwm";
  if (rule.access.find_first_not_of("rwm") != std::string::npos) {
    reader.Fail("access", "holds more than r, w and m");
  }
  RETURN_IF_ERROR(reader.status());
  rule.type = type[0];
  return rule;
}

StatusOr<MemoryLimits> MemoryFromJson(const Json& json,
                                      const std::string& path) {
  JsonReader reader(json, path);
  MemoryLimits memory;
  reader.Get("limit", memory.limit);
  reader.Get("reservation", memory.reservation);
  reader.Get("swap", memory.swap);
  reader.Get("swappiness", memory.swappiness);
  reader.Get("disableOOMKiller", memory.disable_oom_killer);
  reader.Get("checkBeforeUpdate", memory.check_before_update);
  RETURN_IF_ERROR(reader.status());
  return memory;
}

StatusOr<CpuLimits> CpuFromJson(const Json& json, const std::string& path) {
  JsonReader reader(json, path);
  CpuLimits cpu;
  reader.Get("shares", cpu.shares);
  reader.Get("quota", cpu.quota);
  reader.Get("burst", cpu.burst);
  reader.Get("period", cpu.period);
  reader.Get("realtimeRuntime", cpu.realtime_runtime);
  reader.Get("realtimePeriod", cpu.realtime_period);
  reader.Get("cpus", cpu.cpus);
  reader.Get("mems", cpu.mems);
  reader.Get("idle", cpu.idle);
  RETURN_IF_ERROR(reader.status());
  return cpu;
}

// Required: 0:0 would be refused by the kernel, without a word of the field.
void ReadDevice(JsonReader& reader, int64_t& major, int64_t& minor) {
  for (const char* member : {"major", "minor"}) {
    if (!reader.Has(member)) reader.Fail(member, "is missing");
  }
  reader.Get("major", major);
  reader.Get("minor", minor);
}

StatusOr<BlockIoWeight> BlockIoWeightFromJson(const Json& json,
                                              const std::string& path) {
  JsonReader reader(json, path);
  BlockIoWeight entry;
  ReadDevice(reader, entry.major, entry.minor);
  reader.Get("weight", entry.weight);
  reader.Get("leafWeight", entry.leaf_weight);
  RETURN_IF_ERROR(reader.status());
  return entry;
}

StatusOr<BlockIoThrottle> BlockIoThrottleFromJson(const Json& json,
                                                  const std::string& path) {
  JsonReader reader(json, path);
  BlockIoThrottle entry;
  ReadDevice(reader, entry.major, entry.minor);
  reader.Get("rate", entry.rate);
  RETURN_IF_ERROR(reader.status());
  return entry;
}

StatusOr<BlockIoLimits> BlockIoFromJson(const Json& json,
                                        const std::string& path) {
  JsonReader reader(json, path);
  BlockIoLimits limits;
  reader.Get("weight", limits.weight);
  reader.Get("leafWeight", limits.leaf_weight);
  ASSIGN_OR_RETURN(limits.weight_devices,
                   ParseList(reader, "weightDevice", BlockIoWeightFromJson));
  ASSIGN_OR_RETURN(limits.read_bps, ParseList(reader, "throttleReadBpsDevice",
                                              BlockIoThrottleFromJson));
  ASSIGN_OR_RETURN(limits.write_bps, ParseList(reader, "throttleWriteBpsDevice",
                                               BlockIoThrottleFromJson));
  ASSIGN_OR_RETURN(limits.read_iops, ParseList(reader, "throttleReadIOPSDevice",
                                               BlockIoThrottleFromJson));
  ASSIGN_OR_RETURN(
      limits.write_iops,
      ParseList(reader, "throttleWriteIOPSDevice", BlockIoThrottleFromJson));
  RETURN_IF_ERROR(reader.status());
  return limits;
}

StatusOr<HugepageLimit> HugepageFromJson(const Json& json,
                                         const std::string& path) {
  JsonReader reader(json, path);
  HugepageLimit limit;
  reader.Get("pageSize", limit.page_size);
  reader.Get("limit", limit.limit);
  RETURN_IF_ERROR(reader.status());
  return limit;
}

StatusOr<std::map<std::string, RdmaLimit>> RdmaFromJson(
    const Json& json, const std::string& path) {
  const JsonReader devices(json, path);
  RETURN_IF_ERROR(devices.status());
  std::map<std::string, RdmaLimit> limits;
  for (const auto& [device, value] : json.members()) {
    JsonReader reader(value, devices.PathOf(device));
    RdmaLimit limit;
    reader.Get("hcaHandles", limit.hca_handles);
    reader.Get("hcaObjects", limit.hca_objects);
    RETURN_IF_ERROR(reader.status());
    limits.emplace(device, limit);
  }
  return limits;
}

StatusOr<std::pair<std::string, uint32_t>> PriorityFromJson(
    const Json& json, const std::string& path) {
  JsonReader reader(json, path);
  std::pair<std::string, uint32_t> priority;
  reader.Get("name", priority.first);
  reader.Get("priority", priority.second);
  RETURN_IF_ERROR(reader.status());
  return priority;
}

StatusOr<NetworkClass> NetworkFromJson(const Json& json,
                                       const std::string& path) {
  JsonReader reader(json, path);
  NetworkClass network;
  reader.Get("classID", network.class_id);
  ASSIGN_OR_RETURN(network.priorities,
                   ParseList(reader, "priorities", PriorityFromJson));
  RETURN_IF_ERROR(reader.status());
  return network;
}

StatusOr<std::optional<int64_t>> PidsFromJson(const Json& json,
                                              const std::string& path) {
  JsonReader reader(json, path);
  std::optional<int64_t> limit;
  reader.Get("limit", limit);
  RETURN_IF_ERROR(reader.status());
  return limit;
}

}  // namespace

StatusOr<Resources> ResourcesFromJson(const Json& json,
                                      const std::string& path) {
  JsonReader reader(json, path);
  Resources resources;
  reader.Get("unified", resources.unified);
  ASSIGN_OR_RETURN(resources.devices,
                   ParseList(reader, "devices", DeviceRuleFromJson));
  ASSIGN_OR_RETURN(resources.memory,
                   ParseMember(reader, "memory", MemoryFromJson));
  ASSIGN_OR_RETURN(resources.cpu, ParseMember(reader, "cpu", CpuFromJson));
  ASSIGN_OR_RETURN(resources.pids_limit,
                   ParseMember(reader, "pids", PidsFromJson));
  ASSIGN_OR_RETURN(resources.block_io,
                   ParseMember(reader, "blockIO", BlockIoFromJson));
  ASSIGN_OR_RETURN(resources.hugepages,
                   ParseList(reader, "hugepageLimits", HugepageFromJson));
  ASSIGN_OR_RETURN(resources.rdma, ParseMember(reader, "rdma", RdmaFromJson));
  ASSIGN_OR_RETURN(resources.network,
                   ParseMember(reader, "network", NetworkFromJson));
  RETURN_IF_ERROR(reader.status());
  return resources;
}

}  // namespace berth::oci
