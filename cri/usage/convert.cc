#include "cri/usage/convert.h"

namespace berth::cri {
namespace {

using sandbox::Pressure;
using sandbox::PressureLine;
using sandbox::UsageStats;

void ToPsi(const PressureLine& ours, v1::PsiData& data) {
  data.set_total(ours.total_ns);
  data.set_avg10(ours.average_10);
  data.set_avg60(ours.average_60);
  data.set_avg300(ours.average_300);
}

v1::PsiStats ToPsi(const Pressure& ours) {
  v1::PsiStats psi;
  ToPsi(ours.full, *psi.mutable_full());
  ToPsi(ours.some, *psi.mutable_some());
  return psi;
}

v1::NetworkInterfaceUsage ToInterface(const sandbox::InterfaceStats& ours) {
  v1::NetworkInterfaceUsage usage;
  usage.set_name(ours.name);
  usage.mutable_rx_bytes()->set_value(ours.rx_bytes);
  usage.mutable_rx_errors()->set_value(ours.rx_errors);
  usage.mutable_tx_bytes()->set_value(ours.tx_bytes);
  usage.mutable_tx_errors()->set_value(ours.tx_errors);
  return usage;
}

uint64_t Less(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

// What may still be swapped out. Version 1 limits memory and swap together.
std::optional<uint64_t> SwapLeft(const sandbox::CgroupStats& cgroup) {
  const auto& memory = cgroup.memory;
  if (memory.swap_limit == sandbox::kNoLimit) return std::nullopt;
  if (!memory.swap_with_memory) return Less(memory.swap_limit, memory.swap);
  if (memory.limit == sandbox::kNoLimit) {
    return Less(memory.swap_limit, memory.usage + memory.swap);
  }
  return Less(Less(memory.swap_limit, memory.limit), memory.swap);
}

}  // namespace

v1::CpuUsage ToCpu(const UsageStats& usage) {
  v1::CpuUsage cpu;
  cpu.set_timestamp(usage.time);
  cpu.mutable_usage_core_nano_seconds()->set_value(usage.cgroup.cpu.total_ns);
  if (usage.nano_cores.has_value()) {
    cpu.mutable_usage_nano_cores()->set_value(*usage.nano_cores);
  }
  if (usage.cgroup.cpu.pressure.has_value()) {
    *cpu.mutable_psi() = ToPsi(*usage.cgroup.cpu.pressure);
  }
  return cpu;
}

v1::MemoryUsage ToMemory(const UsageStats& usage) {
  const auto& ours = usage.cgroup.memory;
  v1::MemoryUsage memory;
  memory.set_timestamp(usage.time);
  memory.mutable_usage_bytes()->set_value(ours.usage);
  memory.mutable_working_set_bytes()->set_value(ours.working_set());
  memory.mutable_rss_bytes()->set_value(ours.rss);
  memory.mutable_page_faults()->set_value(ours.page_faults);
  memory.mutable_major_page_faults()->set_value(ours.major_page_faults);
  // 0: there is no such controller.
  if (ours.limit != sandbox::kNoLimit && ours.limit != 0) {
    memory.mutable_available_bytes()->set_value(
        Less(ours.limit, ours.working_set()));
  }
  if (ours.pressure.has_value()) *memory.mutable_psi() = ToPsi(*ours.pressure);
  return memory;
}

v1::SwapUsage ToSwap(const UsageStats& usage) {
  v1::SwapUsage swap;
  swap.set_timestamp(usage.time);
  swap.mutable_swap_usage_bytes()->set_value(usage.cgroup.memory.swap);
  const std::optional<uint64_t> left = SwapLeft(usage.cgroup);
  if (left.has_value()) {
    swap.mutable_swap_available_bytes()->set_value(*left);
  }
  return swap;
}

std::optional<v1::IoUsage> ToIo(const UsageStats& usage) {
  if (!usage.cgroup.io_pressure.has_value()) return std::nullopt;
  v1::IoUsage io;
  io.set_timestamp(usage.time);
  *io.mutable_psi() = ToPsi(*usage.cgroup.io_pressure);
  return io;
}

v1::NetworkUsage ToNetwork(
    UnixNanos time, const std::vector<sandbox::InterfaceStats>& interfaces) {
  v1::NetworkUsage network;
  network.set_timestamp(time);
  bool first = true;
  for (const sandbox::InterfaceStats& interface : interfaces) {
    (first ? *network.mutable_default_interface() : *network.add_interfaces()) =
        ToInterface(interface);
    first = false;
  }
  return network;
}

}  // namespace berth::cri
