#ifndef ADMIN_METRICS_H_
#define ADMIN_METRICS_H_

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "door/request_counts.h"
#include "door/worker_pool.h"
#include "sandbox/inventory.h"

namespace berth::admin {

// Where the numbers come from. All must outlive whoever asks; the functions
// are called from many threads, and must not wait.
struct Sources {
  const sandbox::Inventory& inventory;
  door::RequestCounts& requests;
  // Records that wait for room on the disk.
  std::function<size_t()> unsaved;
  std::function<std::vector<door::WorkerPool::Load>()> pools;
};

// The state of this process and of what it runs, in Prometheus' text format:
//
//   process_*                       cpu, memory, descriptors, threads, start
//   berth_build_info                the version, as a label
//   berth_sandboxes{phase}          those of both doors, and
//   berth_containers{phase}         those that are being made, too
//   berth_unsaved_records
//   berth_request_duration_seconds{door,method,code}   count and sum
//   berth_pool_working{pool}        requests at work, by the threads' pool
//   berth_pool_waiting{pool}        requests that wait for one
std::string Metrics(const Sources& sources, const std::string& version);

}  // namespace berth::admin

#endif  // ADMIN_METRICS_H_
