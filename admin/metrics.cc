#include "admin/metrics.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <ctime>
#include <map>
#include <optional>

#include "admin/metrics_text.h"
#include "base/status.h"
#include "base/strings.h"
#include "base/sys/file.h"

namespace berth::admin {
namespace {

using sandbox::ContainerPhase;
using sandbox::SandboxPhase;

double Seconds(clockid_t clock) {
  timespec time = {};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) +
         static_cast<double>(time.tv_nsec) / 1e9;
}

// The fields of proc_pid_stat(5) from the third on: the second, a name in
// parentheses, may hold anything.
std::vector<std::string> StatFields() {
  const StatusOr<std::string> stat = ReadFile("/proc/self/stat", 4096);
  const size_t name_end = stat.ok() ? stat->rfind(')') : std::string::npos;
  if (name_end == std::string::npos) return {};
  return Split(Trim(stat->substr(name_end + 1)), ' ');
}

std::optional<uint64_t> StatField(const std::vector<std::string>& fields,
                                  size_t number) {
  if (fields.size() + 3 <= number) return std::nullopt;
  return ParseUint(fields[number - 3]);
}

std::optional<size_t> CountDescriptors() {
  const StatusOr<UniqueFd> folder =
      OpenFile("/proc/self/fd", O_RDONLY | O_DIRECTORY);
  if (!folder.ok()) return std::nullopt;
  const StatusOr<std::vector<std::string>> names = ListDirectory(folder->get());
  if (!names.ok() || names->empty()) return std::nullopt;
  return names->size() - 1;  // but the folder's own
}

// What cannot be read is left out.
void AddProcess(MetricsText& text) {
  const auto add = [&](const char* name, const char* help, const auto& value) {
    if (!value.has_value()) return;
    text.Family(name, "gauge", help);
    text.Sample({}, *value);
  };
  text.Family("process_cpu_seconds_total", "counter",
              "User and system CPU time of berthd.");
  text.Sample({}, Seconds(CLOCK_PROCESS_CPUTIME_ID));

  const std::vector<std::string> fields = StatFields();
  std::optional<uint64_t> resident = StatField(fields, 24);
  if (resident) *resident *= static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  add("process_resident_memory_bytes", "Resident memory of berthd.", resident);
  add("process_virtual_memory_bytes", "Virtual memory of berthd.",
      StatField(fields, 23));
  add("process_threads", "Threads of berthd.", StatField(fields, 20));
  std::optional<double> start;
  if (const auto ticks = StatField(fields, 22)) {
    // Once: the difference of two clocks is never the same twice.
    static const double boot =
        Seconds(CLOCK_REALTIME) - Seconds(CLOCK_BOOTTIME);
    start = boot + static_cast<double>(*ticks) /
                       static_cast<double>(sysconf(_SC_CLK_TCK));
  }
  add("process_start_time_seconds", "Start of berthd, in Unix time.", start);
  add("process_open_fds", "Open file descriptors of berthd.",
      CountDescriptors());
  rlimit limit = {};
  std::optional<uint64_t> most;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) most = limit.rlim_cur;
  add("process_max_fds", "Limit of open file descriptors.", most);
}

// "SANDBOX_PHASE_READY" -> "ready".
std::string Word(const std::string& phase) {
  return Lower(phase.substr(phase.rfind('_') + 1));
}

// Each phase has a sample, also without an object in it. The first phase
// stands for a record without any, which cannot be.
template <typename Object>
void AddPhases(const std::vector<Object>& objects, int phases,
               const std::string& (*name)(int), MetricsText& text) {
  std::map<int, uint64_t> counts;
  for (const Object& object : objects) ++counts[object->phase()];
  for (int phase = 1; phase < phases; ++phase) {
    text.Sample({{"phase", Word(name(phase))}}, counts[phase]);
  }
}

void AddObjects(const sandbox::Inventory& inventory, MetricsText& text) {
  text.Family("berth_sandboxes", "gauge", "Sandboxes, by phase.");
  AddPhases(
      inventory.AllSandboxes(), state::v1::SandboxPhase_ARRAYSIZE,
      +[](int phase) -> const std::string& {
        return state::v1::SandboxPhase_Name(static_cast<SandboxPhase>(phase));
      },
      text);
  text.Family("berth_containers", "gauge", "Containers, by phase.");
  AddPhases(
      inventory.AllContainers(), state::v1::ContainerPhase_ARRAYSIZE,
      +[](int phase) -> const std::string& {
        return state::v1::ContainerPhase_Name(
            static_cast<ContainerPhase>(phase));
      },
      text);
}

void AddRequests(const door::RequestCounts& requests, MetricsText& text) {
  text.Family("berth_request_duration_seconds", "summary",
              "Requests that have ended, and their time, streams included.");
  for (const door::RequestCounts::Count& one : requests.Read()) {
    const MetricsText::Labels labels = {
        {"door", one.door},
        {"method", one.method},
        {"code", absl::StatusCodeToString(one.code)}};
    text.Sample(labels, std::chrono::duration<double>(one.time).count(),
                "_sum");
    text.Sample(labels, one.requests, "_count");
  }
}

void AddPools(const std::vector<door::WorkerPool::Load>& pools,
              MetricsText& text) {
  text.Family("berth_pool_working", "gauge",
              "Requests at work, by the pool of threads they run on.");
  for (const auto& one : pools) {
    text.Sample({{"pool", one.pool}}, one.at_work);
  }
  text.Family("berth_pool_waiting", "gauge",
              "Requests that wait for a thread of their pool.");
  for (const auto& one : pools) {
    text.Sample({{"pool", one.pool}}, one.waiting);
  }
}

}  // namespace

std::string Metrics(const Sources& sources, const std::string& version) {
  MetricsText text;
  AddProcess(text);
  text.Family("berth_build_info", "gauge", "Always 1.");
  text.Sample({{"version", version}}, 1);
  AddObjects(sources.inventory, text);
  text.Family("berth_unsaved_records", "gauge",
              "Records that wait for room on the disk.");
  text.Sample({}, sources.unsaved());
  AddRequests(sources.requests, text);
  AddPools(sources.pools(), text);
  return std::move(text).Take();
}

}  // namespace berth::admin
