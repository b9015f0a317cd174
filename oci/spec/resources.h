// The `linux.resources` object of config.json, as plain values: what a cgroup
// is asked to hold its processes to. Also what `update` takes.
//
// Source: OCI runtime specification 1.3, config-linux.md, "Control groups".
// Unset (nullopt, empty) means: do not touch. -1 means: no limit.
#ifndef OCI_SPEC_RESOURCES_H_
#define OCI_SPEC_RESOURCES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace berth::oci {

// One rule of the device list; rules apply in order, later ones win.
struct DeviceRule {
  bool allow = false;
  char type = 'a';               // 'a' all, 'b' block, 'c' character
  std::optional<int64_t> major;  // unset or -1: any
  std::optional<int64_t> minor;
  std::string access = "rwm";  // of read, write, mknod

  bool operator==(const DeviceRule&) const = default;
};

struct MemoryLimits {
  std::optional<int64_t> limit;        // bytes
  std::optional<int64_t> reservation;  // bytes
  std::optional<int64_t> swap;         // bytes of memory and swap together
  std::optional<uint64_t> swappiness;  // 0..100; v1 only
  std::optional<bool> disable_oom_killer;
  std::optional<bool> check_before_update;

  bool operator==(const MemoryLimits&) const = default;
};

struct CpuLimits {
  std::optional<uint64_t> shares;  // 2..262144
  std::optional<int64_t> quota;    // microseconds in each period
  std::optional<uint64_t> burst;   // microseconds
  std::optional<uint64_t> period;  // microseconds
  std::optional<int64_t> realtime_runtime;
  std::optional<uint64_t> realtime_period;
  std::string cpus;             // list format: "0-3,7"
  std::string mems;             // the same, memory nodes
  std::optional<int64_t> idle;  // 0 or 1

  bool operator==(const CpuLimits&) const = default;
};

struct BlockIoWeight {
  int64_t major = 0;
  int64_t minor = 0;
  std::optional<uint32_t> weight;
  std::optional<uint32_t> leaf_weight;

  bool operator==(const BlockIoWeight&) const = default;
};

struct BlockIoThrottle {
  int64_t major = 0;
  int64_t minor = 0;
  uint64_t rate = 0;  // bytes or operations a second

  bool operator==(const BlockIoThrottle&) const = default;
};

struct BlockIoLimits {
  std::optional<uint32_t> weight;  // 10..1000
  std::optional<uint32_t> leaf_weight;
  std::vector<BlockIoWeight> weight_devices;
  std::vector<BlockIoThrottle> read_bps;
  std::vector<BlockIoThrottle> write_bps;
  std::vector<BlockIoThrottle> read_iops;
  std::vector<BlockIoThrottle> write_iops;

  bool operator==(const BlockIoLimits&) const = default;
};

struct HugepageLimit {
  std::string page_size;  // "2MB"
  uint64_t limit = 0;     // bytes

  bool operator==(const HugepageLimit&) const = default;
};

struct RdmaLimit {
  std::optional<uint32_t> hca_handles;
  std::optional<uint32_t> hca_objects;

  bool operator==(const RdmaLimit&) const = default;
};

struct NetworkClass {
  std::optional<uint32_t> class_id;
  std::vector<std::pair<std::string, uint32_t>> priorities;  // by interface

  bool operator==(const NetworkClass&) const = default;
};

struct Resources {
  std::vector<DeviceRule> devices;
  MemoryLimits memory;
  CpuLimits cpu;
  std::optional<int64_t> pids_limit;
  BlockIoLimits block_io;
  std::vector<HugepageLimit> hugepages;
  std::map<std::string, RdmaLimit> rdma;  // by device
  NetworkClass network;
  // v2 file name -> contents, written as they are.
  std::map<std::string, std::string> unified;

  bool operator==(const Resources&) const = default;
};

}  // namespace berth::oci

#endif  // OCI_SPEC_RESOURCES_H_
