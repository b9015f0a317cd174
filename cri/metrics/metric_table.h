// The metrics of the CRI, which take cAdvisor's place in /metrics/cadvisor:
// their names, what each says and where it is read. kubelet passes all of it on
// as it is, so names, labels and units are those that dashboards know.
#ifndef CRI_METRICS_METRIC_TABLE_H_
#define CRI_METRICS_METRIC_TABLE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/cri/v1/stats.pb.h"
#include "base/clock.h"
#include "sandbox/usage/stats.h"

namespace berth::cri {

namespace v1 = ::runtime::v1;

// A writable layer and the file system that it is on.
struct LayerUsage {
  std::string device;
  uint64_t bytes = 0;
  uint64_t limit = 0;
  uint64_t inodes = 0;
  uint64_t inodes_free = 0;
};

// Of one container, or of one pod: what its metrics are read from. What is not
// set is not there, and its metrics are left out.
struct MetricSource {
  // Of the six labels that every metric has. `id` is the cgroup's path; `name`
  // the id of the container, or of the sandbox, so that no two are alike.
  std::string container;
  std::string pod;
  std::string namespace_of_pod;
  std::string image;
  std::string id;
  std::string name;

  UnixNanos now = 0;
  UnixNanos started_at = 0;
  std::optional<sandbox::CgroupStats> cgroup;
  uint64_t cpu_shares = 0;  // as asked for; 0: as the kernel has it
  std::optional<sandbox::ProcessStats> processes;
  std::vector<sandbox::InterfaceStats> interfaces;
  std::optional<LayerUsage> layer;
};

// One for each metric there is, the same for ever.
std::vector<v1::MetricDescriptor> MetricDescriptors();

// The metrics of one source, each with as many label values as its descriptor
// has keys. Fractions are in `double_value`, and rounded in `value`.
google::protobuf::RepeatedPtrField<v1::Metric> MetricsOf(
    const MetricSource& source);

}  // namespace berth::cri

#endif  // CRI_METRICS_METRIC_TABLE_H_
