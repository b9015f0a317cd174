// How the values of metrics are read: what the rows of the table are made of.
// Private to this folder.
#ifndef CRI_METRICS_METRIC_READER_H_
#define CRI_METRICS_METRIC_READER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cri/metrics/metric_table.h"

namespace berth::cri {

// What the kernel or the record has; kNanoseconds is told in seconds.
enum class Unit { kWhole, kNanoseconds };

class Rows;
using Reader = std::function<void(const MetricSource&, Rows&)>;

// One row of the table.
struct Family {
  const char* name;
  const char* help;
  v1::MetricType type;
  Unit unit;
  std::vector<const char*> keys;  // of labels besides the common ones
  Reader read;
};

inline constexpr const char* kCommonKeys[] = {"container", "pod", "namespace",
                                              "image",     "id",  "name"};

// Where readers put the values of one source. Single-threaded.
class Rows {
 public:
  // Both must outlive it.
  Rows(const MetricSource& source,
       google::protobuf::RepeatedPtrField<v1::Metric>& to);

  void Read(const Family& family);
  // For the reader: `labels` in the order of the family's keys.
  void Add(uint64_t value, const std::vector<std::string>& labels = {});

 private:
  const MetricSource& source_;
  const std::vector<const std::string*> common_;
  google::protobuf::RepeatedPtrField<v1::Metric>& to_;
  const Family* family_ = nullptr;
};

// Each gives no row if the source lacks the part, or the part lacks the value.
template <typename Part>
using Value = std::function<std::optional<uint64_t>(const Part&)>;

Reader OfCgroup(Value<sandbox::CgroupStats> value,
                std::vector<std::string> labels = {});
// Only under a CPU quota: the kernel counts its periods then alone.
Reader OfQuota(Value<sandbox::CgroupStats> value);
Reader OfProcesses(Value<sandbox::ProcessStats> value,
                   std::vector<std::string> labels = {});
// A row for each interface, page size or device; the last for one operation.
Reader OfInterfaces(uint64_t sandbox::InterfaceStats::*value);
Reader OfHugepages(uint64_t sandbox::HugepageStats::*value);
Reader OfDevices(
    std::vector<sandbox::BlockIoEntry> sandbox::CgroupStats::*entries,
    const char* operation);
Reader OfLayer(uint64_t LayerUsage::*value);
// What the whole waits for (full) or a part of it (some).
Reader OfPressure(std::function<const std::optional<sandbox::Pressure>&(
                      const sandbox::CgroupStats&)>
                      resource,
                  sandbox::PressureLine sandbox::Pressure::*line);

void ReadDeviceUsage(const MetricSource& source, Rows& rows);
void ReadMemoryFailures(const MetricSource& source, Rows& rows);
void ReadShares(const MetricSource& source, Rows& rows);

}  // namespace berth::cri

#endif  // CRI_METRICS_METRIC_READER_H_
