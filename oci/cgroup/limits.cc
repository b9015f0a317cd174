#include "oci/cgroup/limits.h"

#include <cmath>
#include <optional>
#include <utility>

namespace berth::oci {
namespace {

using Writes = std::vector<LimitWrite>;

// Go callers cannot tell 0 from unset; a limit of 0 bytes, shares, microseconds
// or processes means nothing else.
template <typename T>
bool IsSet(const std::optional<T>& value) {
  return value.value_or(0) != 0;
}

std::string MaxOr(int64_t value) {
  return value < 0 ? "max" : std::to_string(value);
}

std::string DeviceNumber(int64_t major, int64_t minor) {
  return std::to_string(major) + ":" + std::to_string(minor);
}

void Add(Writes& writes, std::string controller, std::string file,
         std::string value) {
  writes.push_back({.controller = std::move(controller),
                    .file = std::move(file),
                    .value = std::move(value)});
}

void AddMemoryV1(const MemoryLimits& memory, Writes& writes) {
  std::optional<int64_t> swap = memory.swap;
  // No limit on memory with one on memory and swap cannot be.
  const bool lifted = memory.limit == -1 && !IsSet(swap);
  if (lifted) swap = -1;
  if (IsSet(memory.limit)) {
    Add(writes, "memory", "memory.limit_in_bytes",
        std::to_string(*memory.limit));
    writes.back().swap_on_einval = IsSet(swap);
  }
  if (IsSet(swap)) {
    Add(writes, "memory", "memory.memsw.limit_in_bytes", std::to_string(*swap));
    writes.back().optional = *swap < 0;
  }
  if (IsSet(memory.reservation)) {
    Add(writes, "memory", "memory.soft_limit_in_bytes",
        std::to_string(*memory.reservation));
  }
  if (memory.swappiness.has_value()) {
    Add(writes, "memory", "memory.swappiness",
        std::to_string(*memory.swappiness));
  }
  if (memory.disable_oom_killer.value_or(false)) {
    Add(writes, "memory", "memory.oom_control", "1");
  }
}

void AddCpuV1(const CpuLimits& cpu, Writes& writes) {
  if (cpu.idle.has_value()) {
    Add(writes, "cpu", "cpu.idle", std::to_string(*cpu.idle));
    writes.back().optional = *cpu.idle == 0;
  }
  // An idle group has no weight: the kernel refuses to set one.
  if (IsSet(cpu.shares) && cpu.idle.value_or(0) == 0) {
    Add(writes, "cpu", "cpu.shares", std::to_string(*cpu.shares));
  }
  if (IsSet(cpu.realtime_period)) {
    Add(writes, "cpu", "cpu.rt_period_us",
        std::to_string(*cpu.realtime_period));
  }
  if (IsSet(cpu.realtime_runtime)) {
    Add(writes, "cpu", "cpu.rt_runtime_us",
        std::to_string(*cpu.realtime_runtime));
  }
  if (IsSet(cpu.period)) {
    Add(writes, "cpu", "cpu.cfs_period_us", std::to_string(*cpu.period));
    writes.back().swap_on_einval = IsSet(cpu.quota);
  }
  if (IsSet(cpu.quota)) {
    Add(writes, "cpu", "cpu.cfs_quota_us", std::to_string(*cpu.quota));
  }
  if (cpu.burst.has_value()) {
    Add(writes, "cpu", "cpu.cfs_burst_us", std::to_string(*cpu.burst));
    writes.back().optional = *cpu.burst == 0;
  }
}

void AddCpuset(const CpuLimits& cpu, Writes& writes) {
  if (!cpu.cpus.empty()) Add(writes, "cpuset", "cpuset.cpus", cpu.cpus);
  if (!cpu.mems.empty()) Add(writes, "cpuset", "cpuset.mems", cpu.mems);
}

void AddThrottlesV1(const char* file, const std::vector<BlockIoThrottle>& list,
                    Writes& writes) {
  for (const BlockIoThrottle& entry : list) {
    Add(writes, "blkio", std::string("blkio.throttle.") + file,
        DeviceNumber(entry.major, entry.minor) + " " +
            std::to_string(entry.rate));
  }
}

void AddBlockIoV1(const BlockIoLimits& limits, Writes& writes) {
  const auto add = [&](const std::string& suffix, const std::string& value) {
    Add(writes, "blkio", "blkio.weight" + suffix, value);
    writes.back().other_file = "blkio.bfq.weight" + suffix;
    writes.back().other_value = value;
  };
  if (IsSet(limits.weight)) add("", std::to_string(*limits.weight));
  if (IsSet(limits.leaf_weight)) {
    Add(writes, "blkio", "blkio.leaf_weight",
        std::to_string(*limits.leaf_weight));
  }
  for (const BlockIoWeight& entry : limits.weight_devices) {
    const std::string device = DeviceNumber(entry.major, entry.minor) + " ";
    if (IsSet(entry.weight)) {
      add("_device", device + std::to_string(*entry.weight));
    }
    if (IsSet(entry.leaf_weight)) {
      Add(writes, "blkio", "blkio.leaf_weight_device",
          device + std::to_string(*entry.leaf_weight));
    }
  }
  AddThrottlesV1("read_bps_device", limits.read_bps, writes);
  AddThrottlesV1("write_bps_device", limits.write_bps, writes);
  AddThrottlesV1("read_iops_device", limits.read_iops, writes);
  AddThrottlesV1("write_iops_device", limits.write_iops, writes);
}

void AddHugepages(const std::vector<HugepageLimit>& limits, const char* file,
                  Writes& writes) {
  for (const HugepageLimit& limit : limits) {
    const std::string prefix = "hugetlb." + limit.page_size;
    const std::string value = std::to_string(limit.limit);
    Add(writes, "hugetlb", prefix + "." + file, value);
    Add(writes, "hugetlb", prefix + ".rsvd." + file, value);
    writes.back().optional = true;
  }
}

void AddRdma(const std::map<std::string, RdmaLimit>& limits, Writes& writes) {
  for (const auto& [device, limit] : limits) {
    std::string line = device;
    if (limit.hca_handles.has_value()) {
      line += " hca_handle=" + std::to_string(*limit.hca_handles);
    }
    if (limit.hca_objects.has_value()) {
      line += " hca_object=" + std::to_string(*limit.hca_objects);
    }
    Add(writes, "rdma", "rdma.max", line);
  }
}

void AddNetworkV1(const NetworkClass& network, Writes& writes) {
  if (network.class_id.has_value()) {
    Add(writes, "net_cls", "net_cls.classid",
        std::to_string(*network.class_id));
  }
  for (const auto& [interface, priority] : network.priorities) {
    Add(writes, "net_prio", "net_prio.ifpriomap",
        interface + " " + std::to_string(priority));
  }
}

// What v2 has no way to say, and what is not to be left out; zero means
// nothing was asked.
Status RefuseV1Only(const Resources& resources) {
  const char* field = nullptr;
  if (IsSet(resources.cpu.realtime_period) ||
      IsSet(resources.cpu.realtime_runtime)) {
    field = "cpu.realtimeRuntime or realtimePeriod";
  } else if (IsSet(resources.block_io.leaf_weight)) {
    field = "blockIO.leafWeight";
  } else if (resources.network != NetworkClass()) {
    field = "network";
  }
  if (field == nullptr) return OkStatus();
  return Unimplemented(std::string("linux.resources.") + field +
                       " is not supported on cgroup v2");
}

// The specification's swap counts memory as well, v2's does not.
Status AddSwapV2(const MemoryLimits& memory, Writes& writes) {
  const int64_t limit = memory.limit.value_or(0);
  int64_t swap = memory.swap.value_or(0);
  if (swap == 0) {
    if (limit != -1) return OkStatus();
    swap = -1;
  }
  if (swap > 0) {
    if (limit <= 0) {
      return InvalidArgument(
          "linux.resources.memory.swap without memory.limit");
    }
    if (swap < limit) {
      return InvalidArgument(
          "linux.resources.memory.swap is below memory.limit");
    }
    swap -= limit;
  }
  Add(writes, "memory", "memory.swap.max", MaxOr(swap));
  // Without swap in the kernel there is none to limit.
  writes.back().optional = swap <= 0;
  return OkStatus();
}

Status AddMemoryV2(const MemoryLimits& memory, Writes& writes) {
  RETURN_IF_ERROR(AddSwapV2(memory, writes));
  if (IsSet(memory.limit)) {
    Add(writes, "memory", "memory.max", MaxOr(*memory.limit));
  }
  if (IsSet(memory.reservation)) {
    Add(writes, "memory", "memory.low", MaxOr(*memory.reservation));
  }
  return OkStatus();
}

void AddCpuV2(const CpuLimits& cpu, Writes& writes) {
  if (cpu.idle.has_value()) {
    Add(writes, "cpu", "cpu.idle", std::to_string(*cpu.idle));
    writes.back().optional = *cpu.idle == 0;
  }
  if (IsSet(cpu.shares) && cpu.idle.value_or(0) == 0) {
    Add(writes, "cpu", "cpu.weight", std::to_string(CpuWeight(*cpu.shares)));
  }
  if (IsSet(cpu.quota) || IsSet(cpu.period)) {
    // A quota alone leaves the period as it is.
    std::string value = MaxOr(cpu.quota.value_or(0) > 0 ? *cpu.quota : -1);
    if (IsSet(cpu.period)) value += " " + std::to_string(*cpu.period);
    Add(writes, "cpu", "cpu.max", value);
  }
  if (cpu.burst.has_value()) {
    Add(writes, "cpu", "cpu.max.burst", std::to_string(*cpu.burst));
    writes.back().optional = *cpu.burst == 0;
  }
}

void AddThrottlesV2(const char* key, const std::vector<BlockIoThrottle>& list,
                    Writes& writes) {
  for (const BlockIoThrottle& entry : list) {
    // Zero lifts the limit, as in v1.
    const std::string rate =
        entry.rate == 0 ? "max" : std::to_string(entry.rate);
    Add(writes, "io", "io.max",
        DeviceNumber(entry.major, entry.minor) + " " + key + "=" + rate);
  }
}

void AddBlockIoV2(const BlockIoLimits& limits, Writes& writes) {
  // 10..1000 of BFQ on 1..10000 of io.weight.
  const auto add = [&](const std::string& target, uint32_t weight) {
    const uint64_t scaled = 1 + (uint64_t{weight} - 10) * 9999 / 990;
    Add(writes, "io", "io.bfq.weight", target + std::to_string(weight));
    writes.back().other_file = "io.weight";
    writes.back().other_value = target + std::to_string(scaled);
  };
  if (IsSet(limits.weight)) add("default ", *limits.weight);
  for (const BlockIoWeight& entry : limits.weight_devices) {
    if (!IsSet(entry.weight)) continue;
    add(DeviceNumber(entry.major, entry.minor) + " ", *entry.weight);
  }
  AddThrottlesV2("rbps", limits.read_bps, writes);
  AddThrottlesV2("wbps", limits.write_bps, writes);
  AddThrottlesV2("riops", limits.read_iops, writes);
  AddThrottlesV2("wiops", limits.write_iops, writes);
}

Status AddUnified(const std::map<std::string, std::string>& unified,
                  Writes& writes) {
  for (const auto& [file, value] : unified) {
    const size_t dot = file.find('.');
    const std::string controller = file.substr(0, dot);
    if (dot == 0 || dot == std::string::npos || controller == "cgroup" ||
        file.find('/') != std::string::npos) {
      return InvalidArgument("linux.resources.unified: \"" + file +
                             "\" is no file of a controller");
    }
    Add(writes, controller, file, value);
  }
  return OkStatus();
}

}  // namespace

uint64_t CpuWeight(uint64_t shares) {
  // runc's fit since 1.3.2: shares of 2, 1024 and 262144 are weights of 1, 100
  // and 10000, which a straight line would not hit.
  if (shares <= 2) return 1;
  if (shares >= 262144) return 10000;
  const double log = std::log2(static_cast<double>(shares));
  const double exponent = (log * log + 125 * log) / 612.0 - 7.0 / 34.0;
  return static_cast<uint64_t>(std::ceil(std::pow(10, exponent)));
}

std::vector<std::string> LeftOutOnV2(const Resources& resources) {
  std::vector<std::string> fields;
  if (resources.memory.swappiness.has_value()) {
    fields.push_back("memory.swappiness");
  }
  if (resources.memory.disable_oom_killer.value_or(false)) {
    fields.push_back("memory.disableOOMKiller");
  }
  return fields;
}

StatusOr<std::vector<LimitWrite>> LimitsV1(const Resources& resources) {
  if (!resources.unified.empty()) {
    return InvalidArgument("linux.resources.unified needs cgroup v2");
  }
  Writes writes;
  AddMemoryV1(resources.memory, writes);
  AddCpuV1(resources.cpu, writes);
  AddCpuset(resources.cpu, writes);
  if (IsSet(resources.pids_limit)) {
    Add(writes, "pids", "pids.max", MaxOr(*resources.pids_limit));
  }
  AddBlockIoV1(resources.block_io, writes);
  AddHugepages(resources.hugepages, "limit_in_bytes", writes);
  AddRdma(resources.rdma, writes);
  AddNetworkV1(resources.network, writes);
  return writes;
}

StatusOr<std::vector<LimitWrite>> LimitsV2(const Resources& resources) {
  RETURN_IF_ERROR(RefuseV1Only(resources));
  Writes writes;
  RETURN_IF_ERROR(AddMemoryV2(resources.memory, writes));
  AddCpuV2(resources.cpu, writes);
  AddCpuset(resources.cpu, writes);
  if (IsSet(resources.pids_limit)) {
    Add(writes, "pids", "pids.max", MaxOr(*resources.pids_limit));
  }
  AddBlockIoV2(resources.block_io, writes);
  AddHugepages(resources.hugepages, "max", writes);
  AddRdma(resources.rdma, writes);
  RETURN_IF_ERROR(AddUnified(resources.unified, writes));
  return writes;
}

}  // namespace berth::oci
