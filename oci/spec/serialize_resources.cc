#include <string_view>
#include <utility>

#include "oci/spec/serialize_parts.h"

namespace berth::oci {
namespace {

void WriteDeviceRule(JsonWriter& writer, const DeviceRule& rule) {
  writer.BeginObject();
  writer.Always("allow", rule.allow);
  writer.Always("type", std::string_view(&rule.type, 1));
  writer.Member("major", rule.major);
  writer.Member("minor", rule.minor);
  writer.Always("access", rule.access);
  writer.EndObject();
}

void WriteMemory(JsonWriter& writer, const MemoryLimits& memory) {
  if (memory == MemoryLimits()) return;
  writer.Key("memory");
  writer.BeginObject();
  writer.Member("limit", memory.limit);
  writer.Member("reservation", memory.reservation);
  writer.Member("swap", memory.swap);
  writer.Member("swappiness", memory.swappiness);
  writer.Member("disableOOMKiller", memory.disable_oom_killer);
  writer.Member("checkBeforeUpdate", memory.check_before_update);
  writer.EndObject();
}

void WriteCpu(JsonWriter& writer, const CpuLimits& cpu) {
  if (cpu == CpuLimits()) return;
  writer.Key("cpu");
  writer.BeginObject();
  writer.Member("shares", cpu.shares);
  writer.Member("quota", cpu.quota);
  writer.Member("burst", cpu.burst);
  writer.Member("period", cpu.period);
  writer.Member("realtimeRuntime", cpu.realtime_runtime);
  writer.Member("realtimePeriod", cpu.realtime_period);
  writer.Member("cpus", cpu.cpus);
  writer.Member("mems", cpu.mems);
  writer.Member("idle", cpu.idle);
  writer.EndObject();
}

void WriteBlockIoWeight(JsonWriter& writer, const BlockIoWeight& entry) {
  writer.BeginObject();
  writer.Always("major", entry.major);
  writer.Always("minor", entry.minor);
  writer.Member("weight", entry.weight);
  writer.Member("leafWeight", entry.leaf_weight);
  writer.EndObject();
}

void WriteThrottle(JsonWriter& writer, const BlockIoThrottle& entry) {
  writer.BeginObject();
  writer.Always("major", entry.major);
  writer.Always("minor", entry.minor);
  writer.Always("rate", entry.rate);
  writer.EndObject();
}

void WriteBlockIo(JsonWriter& writer, const BlockIoLimits& limits) {
  if (limits == BlockIoLimits()) return;
  writer.Key("blockIO");
  writer.BeginObject();
  writer.Member("weight", limits.weight);
  writer.Member("leafWeight", limits.leaf_weight);
  writer.List("weightDevice", limits.weight_devices, WriteBlockIoWeight);
  writer.List("throttleReadBpsDevice", limits.read_bps, WriteThrottle);
  writer.List("throttleWriteBpsDevice", limits.write_bps, WriteThrottle);
  writer.List("throttleReadIOPSDevice", limits.read_iops, WriteThrottle);
  writer.List("throttleWriteIOPSDevice", limits.write_iops, WriteThrottle);
  writer.EndObject();
}

void WriteHugepage(JsonWriter& writer, const HugepageLimit& limit) {
  writer.BeginObject();
  writer.Always("pageSize", limit.page_size);
  writer.Always("limit", limit.limit);
  writer.EndObject();
}

void WritePriority(JsonWriter& writer,
                   const std::pair<std::string, uint32_t>& priority) {
  writer.BeginObject();
  writer.Always("name", priority.first);
  writer.Always("priority", priority.second);
  writer.EndObject();
}

void WriteNetwork(JsonWriter& writer, const NetworkClass& network) {
  if (network == NetworkClass()) return;
  writer.Key("network");
  writer.BeginObject();
  writer.Member("classID", network.class_id);
  writer.List("priorities", network.priorities, WritePriority);
  writer.EndObject();
}

void WriteRdma(JsonWriter& writer,
               const std::map<std::string, RdmaLimit>& limits) {
  if (limits.empty()) return;
  writer.Key("rdma");
  writer.BeginObject();
  for (const auto& [device, limit] : limits) {
    writer.Key(device);
    writer.BeginObject();
    writer.Member("hcaHandles", limit.hca_handles);
    writer.Member("hcaObjects", limit.hca_objects);
    writer.EndObject();
  }
  writer.EndObject();
}

}  // namespace

void WriteResources(JsonWriter& writer, const Resources& resources) {
  writer.BeginObject();
  writer.List("devices", resources.devices, WriteDeviceRule);
  WriteMemory(writer, resources.memory);
  WriteCpu(writer, resources.cpu);
  if (resources.pids_limit.has_value()) {
    writer.Key("pids");
    writer.BeginObject();
    writer.Always("limit", *resources.pids_limit);
    writer.EndObject();
  }
  WriteBlockIo(writer, resources.block_io);
  writer.List("hugepageLimits", resources.hugepages, WriteHugepage);
  WriteRdma(writer, resources.rdma);
  WriteNetwork(writer, resources.network);
  writer.Member("unified", resources.unified);
  writer.EndObject();
}

}  // namespace berth::oci
