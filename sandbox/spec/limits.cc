#include "sandbox/spec/limits.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <string>

#include "base/context.h"
#include "base/fs/foreign_path.h"
#include "base/strings.h"

namespace berth::sandbox {
namespace {

using ::berth::state::v1::Resources;

StatusOr<dev_t> BlockDevice(const std::string& path) {
  ASSIGN_OR_RETURN_AS(const PathFacts found,
                      InspectPath(Context::Background("limits"), path),
                      "stat device");
  if (!S_ISBLK(found.info.st_mode)) {
    return InvalidArgument("device " + Quoted(path) + ": not a block device");
  }
  return found.info.st_rdev;
}

template <typename Rates>
Status AddRates(const Rates& rates, std::vector<oci::BlockIoThrottle>& to) {
  for (const auto& rate : rates) {
    ASSIGN_OR_RETURN(const dev_t device, BlockDevice(rate.path()));
    to.push_back({major(device), minor(device), rate.rate()});
  }
  return OkStatus();
}

StatusOr<oci::BlockIoLimits> BlockIo(const Resources& limits) {
  oci::BlockIoLimits io;
  if (limits.blkio_weight() != 0) io.weight = limits.blkio_weight();
  for (const auto& weight : limits.blkio_weight_devices()) {
    ASSIGN_OR_RETURN(const dev_t device, BlockDevice(weight.path()));
    oci::BlockIoWeight entry;
    entry.major = major(device);
    entry.minor = minor(device);
    entry.weight = weight.weight();
    io.weight_devices.push_back(entry);
  }
  RETURN_IF_ERROR(AddRates(limits.blkio_read_bps(), io.read_bps));
  RETURN_IF_ERROR(AddRates(limits.blkio_write_bps(), io.write_bps));
  RETURN_IF_ERROR(AddRates(limits.blkio_read_iops(), io.read_iops));
  RETURN_IF_ERROR(AddRates(limits.blkio_write_iops(), io.write_iops));
  return io;
}

StatusOr<oci::CpuLimits> Cpu(const Resources& limits) {
  oci::CpuLimits cpu;
  if (limits.cpu_shares() < 0) {
    return InvalidArgument("cpu_shares " + std::to_string(limits.cpu_shares()) +
                           ": negative");
  }
  if (limits.cpu_period() < 0) {
    return InvalidArgument("cpu_period " + std::to_string(limits.cpu_period()) +
                           ": negative");
  }
  if (limits.cpu_shares() > 0) cpu.shares = limits.cpu_shares();
  if (limits.cpu_quota() != 0) cpu.quota = limits.cpu_quota();
  if (limits.cpu_period() > 0) cpu.period = limits.cpu_period();
  if (limits.cpu_burst() > 0) cpu.burst = limits.cpu_burst();
  if (limits.cpu_realtime_runtime() != 0) {
    cpu.realtime_runtime = limits.cpu_realtime_runtime();
  }
  if (limits.cpu_realtime_period() > 0) {
    cpu.realtime_period = limits.cpu_realtime_period();
  }
  cpu.cpus = limits.cpuset_cpus();
  cpu.mems = limits.cpuset_mems();
  return cpu;
}

oci::MemoryLimits Memory(const Resources& limits) {
  oci::MemoryLimits memory;
  if (limits.memory_limit() != 0) memory.limit = limits.memory_limit();
  if (limits.memory_swap_limit() != 0) {
    memory.swap = limits.memory_swap_limit();
  }
  if (limits.memory_reservation() != 0) {
    memory.reservation = limits.memory_reservation();
  }
  if (limits.has_memory_swappiness()) {
    memory.swappiness = limits.memory_swappiness();
  }
  if (limits.oom_kill_disable()) memory.disable_oom_killer = true;
  return memory;
}

}  // namespace

StatusOr<oci::Resources> ToOci(const Resources& limits, bool has_hugetlb) {
  oci::Resources resources;
  ASSIGN_OR_RETURN(resources.cpu, Cpu(limits));
  resources.memory = Memory(limits);
  if (limits.pids_limit() != 0) resources.pids_limit = limits.pids_limit();
  for (const auto& page : limits.hugepage_limits()) {
    if (page.limit() == 0 && !has_hugetlb) continue;
    resources.hugepages.push_back({page.page_size(), page.limit()});
  }
  resources.unified.insert(limits.unified().begin(), limits.unified().end());
  ASSIGN_OR_RETURN(resources.block_io, BlockIo(limits));
  return resources;
}

Resources Merge(const Resources& current, const Resources& change) {
  Resources merged = current;
  // protobuf's own rule is ours: what is set replaces what was. Lists would
  // grow, so they go first.
  if (change.hugepage_limits_size() > 0) merged.clear_hugepage_limits();
  if (change.blkio_weight_devices_size() > 0) {
    merged.clear_blkio_weight_devices();
  }
  if (change.blkio_read_bps_size() > 0) merged.clear_blkio_read_bps();
  if (change.blkio_write_bps_size() > 0) merged.clear_blkio_write_bps();
  if (change.blkio_read_iops_size() > 0) merged.clear_blkio_read_iops();
  if (change.blkio_write_iops_size() > 0) merged.clear_blkio_write_iops();
  merged.MergeFrom(change);
  return merged;
}

}  // namespace berth::sandbox
