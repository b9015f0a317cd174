#include "oci/spec/merge.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace berth::oci {
namespace {

template <typename T>
void Set(std::optional<T>& value, const std::optional<T>& change) {
  if (change.has_value()) value = change;
}

void Set(std::string& value, const std::string& change) {
  if (!change.empty()) value = change;
}

template <typename T, typename Same>
void MergeLists(std::vector<T>& list, const std::vector<T>& changes,
                const Same& same) {
  for (const T& change : changes) {
    const auto old =
        std::find_if(list.begin(), list.end(),
                     [&](const T& entry) { return same(entry, change); });
    if (old == list.end()) {
      list.push_back(change);
    } else {
      *old = change;
    }
  }
}

template <typename Map>
void MergeMaps(Map& map, const Map& changes) {
  for (const auto& [name, value] : changes) map[name] = value;
}

void MergeCpu(CpuLimits& cpu, const CpuLimits& changes) {
  Set(cpu.shares, changes.shares);
  Set(cpu.quota, changes.quota);
  Set(cpu.burst, changes.burst);
  Set(cpu.period, changes.period);
  Set(cpu.realtime_runtime, changes.realtime_runtime);
  Set(cpu.realtime_period, changes.realtime_period);
  Set(cpu.cpus, changes.cpus);
  Set(cpu.mems, changes.mems);
  Set(cpu.idle, changes.idle);
}

void MergeMemory(MemoryLimits& memory, const MemoryLimits& changes) {
  Set(memory.limit, changes.limit);
  Set(memory.reservation, changes.reservation);
  Set(memory.swap, changes.swap);
  Set(memory.swappiness, changes.swappiness);
  Set(memory.disable_oom_killer, changes.disable_oom_killer);
  Set(memory.check_before_update, changes.check_before_update);
}

void MergeBlockIo(BlockIoLimits& limits, const BlockIoLimits& changes) {
  const auto same = [](const auto& a, const auto& b) {
    return a.major == b.major && a.minor == b.minor;
  };
  Set(limits.weight, changes.weight);
  Set(limits.leaf_weight, changes.leaf_weight);
  MergeLists(limits.weight_devices, changes.weight_devices, same);
  MergeLists(limits.read_bps, changes.read_bps, same);
  MergeLists(limits.write_bps, changes.write_bps, same);
  MergeLists(limits.read_iops, changes.read_iops, same);
  MergeLists(limits.write_iops, changes.write_iops, same);
}

}  // namespace

Resources MergeResources(const Resources& old, const Resources& changes) {
  Resources merged = old;
  if (!changes.devices.empty()) merged.devices = changes.devices;
  MergeMemory(merged.memory, changes.memory);
  MergeCpu(merged.cpu, changes.cpu);
  Set(merged.pids_limit, changes.pids_limit);
  MergeBlockIo(merged.block_io, changes.block_io);
  MergeLists(merged.hugepages, changes.hugepages,
             [](const HugepageLimit& a, const HugepageLimit& b) {
               return a.page_size == b.page_size;
             });
  MergeMaps(merged.rdma, changes.rdma);
  Set(merged.network.class_id, changes.network.class_id);
  MergeLists(merged.network.priorities, changes.network.priorities,
             [](const auto& a, const auto& b) { return a.first == b.first; });
  MergeMaps(merged.unified, changes.unified);
  return merged;
}

}  // namespace berth::oci
