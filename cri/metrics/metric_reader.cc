#include "cri/metrics/metric_reader.h"

#include <cmath>
#include <utility>

namespace berth::cri {
namespace {

using sandbox::BlockIoEntry;
using sandbox::CgroupStats;
using sandbox::InterfaceStats;
using sandbox::Pressure;
using sandbox::PressureLine;
using sandbox::ProcessStats;

// cpu.shares for cpu.weight: what was turned into the weight by
// log10(weight) = (l^2 + 125 l) / 612 - 7/34, l = log2(shares).
uint64_t SharesOfWeight(uint64_t weight) {
  if (weight == 0) return 0;
  const double square =
      612 * (std::log10(static_cast<double>(weight)) + 7.0 / 34);
  return static_cast<uint64_t>(
      std::llround(std::exp2((std::sqrt(15625 + 4 * square) - 125) / 2)));
}

}  // namespace

Rows::Rows(const MetricSource& source,
           google::protobuf::RepeatedPtrField<v1::Metric>& to)
    : source_(source),
      common_{&source.container, &source.pod, &source.namespace_of_pod,
              &source.image,     &source.id,  &source.name},
      to_(to) {}

void Rows::Read(const Family& family) {
  family_ = &family;
  family.read(source_, *this);
}

void Rows::Add(uint64_t value, const std::vector<std::string>& labels) {
  v1::Metric& metric = *to_.Add();
  metric.set_name(family_->name);
  metric.set_metric_type(family_->type);
  for (const std::string* const label : common_) {
    metric.add_label_values(*label);
  }
  for (const std::string& label : labels) metric.add_label_values(label);
  if (family_->unit == Unit::kWhole) {
    metric.mutable_value()->set_value(value);
    return;
  }
  const double seconds = static_cast<double>(value) / 1e9;
  metric.mutable_value()->set_value(
      static_cast<uint64_t>(std::llround(seconds)));
  metric.mutable_double_value()->set_value(seconds);
}

Reader OfCgroup(Value<CgroupStats> value, std::vector<std::string> labels) {
  return [value = std::move(value), labels = std::move(labels)](
             const MetricSource& source, Rows& rows) {
    if (!source.cgroup.has_value()) return;
    const std::optional<uint64_t> read = value(*source.cgroup);
    if (read.has_value()) rows.Add(*read, labels);
  };
}

Reader OfPressure(
    std::function<const std::optional<Pressure>&(const CgroupStats&)> resource,
    PressureLine Pressure::*line) {
  return OfCgroup([resource = std::move(resource),
                   line](const CgroupStats& c) -> std::optional<uint64_t> {
    const std::optional<Pressure>& pressure = resource(c);
    if (!pressure.has_value()) return std::nullopt;
    return ((*pressure).*line).total_ns;
  });
}

Reader OfProcesses(Value<ProcessStats> value, std::vector<std::string> labels) {
  return [value = std::move(value), labels = std::move(labels)](
             const MetricSource& source, Rows& rows) {
    if (!source.processes.has_value()) return;
    const std::optional<uint64_t> read = value(*source.processes);
    if (read.has_value()) rows.Add(*read, labels);
  };
}

Reader OfInterfaces(uint64_t InterfaceStats::*value) {
  return [value](const MetricSource& source, Rows& rows) {
    for (const InterfaceStats& interface : source.interfaces) {
      rows.Add(interface.*value, {interface.name});
    }
  };
}

Reader OfLayer(uint64_t LayerUsage::*value) {
  return [value](const MetricSource& source, Rows& rows) {
    if (source.layer.has_value()) {
      rows.Add((*source.layer).*value, {source.layer->device});
    }
  };
}

// Of the block devices, for one operation.
Reader OfDevices(std::vector<BlockIoEntry> CgroupStats::*entries,
                 const char* operation) {
  return [entries, operation](const MetricSource& source, Rows& rows) {
    if (!source.cgroup.has_value()) return;
    for (const BlockIoEntry& entry : (*source.cgroup).*entries) {
      if (entry.op != operation) continue;
      rows.Add(entry.value,
               {sandbox::BlockDeviceName(entry.major, entry.minor)});
    }
  };
}

void ReadDeviceUsage(const MetricSource& source, Rows& rows) {
  if (!source.cgroup.has_value()) return;
  for (const BlockIoEntry& entry : source.cgroup->io_bytes) {
    rows.Add(entry.value, {sandbox::BlockDeviceName(entry.major, entry.minor),
                           std::to_string(entry.major),
                           std::to_string(entry.minor), entry.op});
  }
}

// Version 1 tells the faults of the cgroup itself from those of all below it.
void ReadMemoryFailures(const MetricSource& source, Rows& rows) {
  if (!source.cgroup.has_value()) return;
  const auto& memory = source.cgroup->memory;
  const auto own = [&memory](const char* name, uint64_t all) {
    const auto found = memory.raw.find(name);
    return found == memory.raw.end() ? all : found->second;
  };
  rows.Add(own("pgfault", memory.page_faults), {"pgfault", "container"});
  rows.Add(memory.page_faults, {"pgfault", "hierarchy"});
  rows.Add(own("pgmajfault", memory.major_page_faults),
           {"pgmajfault", "container"});
  rows.Add(memory.major_page_faults, {"pgmajfault", "hierarchy"});
}

Reader OfHugepages(uint64_t sandbox::HugepageStats::*value) {
  return [value](const MetricSource& source, Rows& rows) {
    if (!source.cgroup.has_value()) return;
    for (const auto& [size, stats] : source.cgroup->hugepages) {
      rows.Add(stats.*value, {size});
    }
  };
}

void ReadShares(const MetricSource& source, Rows& rows) {
  if (!source.cgroup.has_value()) return;
  const auto& cpu = source.cgroup->cpu;
  const uint64_t kernels =
      cpu.shares != 0 ? cpu.shares : SharesOfWeight(cpu.weight);
  const uint64_t shares = source.cpu_shares != 0 ? source.cpu_shares : kernels;
  if (shares != 0) rows.Add(shares);
}

Reader OfQuota(Value<CgroupStats> value) {
  return OfCgroup([value = std::move(value)](
                      const CgroupStats& c) -> std::optional<uint64_t> {
    return c.cpu.quota_us == 0 ? std::nullopt : value(c);
  });
}

}  // namespace berth::cri
