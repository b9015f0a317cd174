// What a container uses: docker stats.
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "docker/call.h"
#include "docker/container_json.h"
#include "docker/engine.h"
#include "sandbox/usage/stats.h"

namespace berth::docker {
namespace {

constexpr std::chrono::seconds kInterval{1};
constexpr char kNoTime[] = "0001-01-01T00:00:00Z";

// What all processors of the host have spent, idle or not: the fields user to
// softirq of the first line of /proc/stat (proc_stat(5)), in nanoseconds.
StatusOr<uint64_t> SystemCpu() {
  constexpr size_t kFields = 7;
  constexpr uint64_t kNanos = 1000000000;
  ASSIGN_OR_RETURN(const std::string text, ReadFile("/proc/stat", 16 << 20));
  uint64_t ticks = 0;
  size_t fields = 0;
  for (const std::string& word : Split(text.substr(0, text.find('\n')), ' ')) {
    const std::optional<uint64_t> number = ParseUint(word);
    if (!number.has_value() || fields == kFields) continue;
    ticks += *number;
    ++fields;
  }
  if (fields < kFields)
    return Internal("/proc/stat: no line of all processors");
  return ticks * (kNanos / static_cast<uint64_t>(sysconf(_SC_CLK_TCK)));
}

uint64_t HostMemory() {
  struct sysinfo info = {};
  sysinfo(&info);
  return uint64_t{info.totalram} * info.mem_unit;
}

Json CpuJson(const oci::CpuStats& cpu, uint64_t system) {
  Json usage = {{"total_usage", cpu.total_ns},
                {"usage_in_kernelmode", cpu.kernel_ns},
                {"usage_in_usermode", cpu.user_ns}};
  if (!cpu.per_cpu_ns.empty()) usage["percpu_usage"] = cpu.per_cpu_ns;
  return {{"cpu_usage", std::move(usage)},
          {"system_cpu_usage", system},
          {"online_cpus", sysconf(_SC_NPROCESSORS_ONLN)},
          {"throttling_data",
           {{"periods", cpu.periods},
            {"throttled_periods", cpu.throttled_periods},
            {"throttled_time", cpu.throttled_ns}}}};
}

Json NoCpuJson() {
  return {{"cpu_usage",
           {{"total_usage", 0},
            {"usage_in_kernelmode", 0},
            {"usage_in_usermode", 0}}},
          {"throttling_data",
           {{"periods", 0}, {"throttled_periods", 0}, {"throttled_time", 0}}}};
}

Json MemoryJson(const oci::MemoryStats& memory) {
  Json json = {{"usage", memory.usage},
               {"stats", memory.raw},
               {"limit", std::min(memory.limit, HostMemory())}};
  if (memory.max_usage > 0) json["max_usage"] = memory.max_usage;
  if (memory.failures > 0) json["failcnt"] = memory.failures;
  return json;
}

Json BlockIoJson(const std::vector<oci::BlockIoEntry>& entries) {
  if (entries.empty()) return nullptr;
  Json list = Json::array();
  for (const oci::BlockIoEntry& entry : entries) {
    list.push_back({{"major", entry.major},
                    {"minor", entry.minor},
                    {"op", Lower(entry.op)},
                    {"value", entry.value}});
  }
  return list;
}

Json BlockIosJson(const oci::CgroupStats& stats) {
  Json json = {{"io_service_bytes_recursive", BlockIoJson(stats.io_bytes)},
               {"io_serviced_recursive", BlockIoJson(stats.io_operations)}};
  for (const char* name : {"io_queue_recursive", "io_service_time_recursive",
                           "io_wait_time_recursive", "io_merged_recursive",
                           "io_time_recursive", "sectors_recursive"}) {
    json[name] = nullptr;
  }
  return json;
}

Json NetworksJson(const std::vector<sandbox::InterfaceStats>& interfaces) {
  Json json = Json::object();
  for (const sandbox::InterfaceStats& one : interfaces) {
    json[one.name] = {
        {"rx_bytes", one.rx_bytes},   {"rx_packets", one.rx_packets},
        {"rx_errors", one.rx_errors}, {"rx_dropped", one.rx_dropped},
        {"tx_bytes", one.tx_bytes},   {"tx_packets", one.tx_packets},
        {"tx_errors", one.tx_errors}, {"tx_dropped", one.tx_dropped}};
  }
  return json;
}

// Of a container without a limit dockerd says the largest number where cgroups
// are of version 2, and nothing where they are of version 1.
Json PidsJson(const oci::CgroupStats& stats, bool unified) {
  Json json = {{"current", stats.pids}};
  if (unified || stats.pids_limit != oci::kNoLimit) {
    json["limit"] = stats.pids_limit;
  }
  return json;
}

// The last sample of a container, with which the next is compared.
struct Sampler {
  Json cpu = NoCpuJson();
  std::string time = kNoTime;

  // Zeros of one that does not run.
  Json Empty(const View& view) {
    *this = Sampler();
    return {{"name", "/" + view.name()},
            {"id", view.id()},
            {"os_type", "linux"},
            {"read", kNoTime},
            {"preread", kNoTime},
            {"pids_stats", Json::object()},
            {"blkio_stats", BlockIosJson({})},
            {"num_procs", 0},
            {"storage_stats", Json::object()},
            {"cpu_stats", NoCpuJson()},
            {"precpu_stats", NoCpuJson()},
            {"memory_stats", Json::object()}};
  }

  StatusOr<Json> Next(Engine& engine, const View& view) {
    if (!view.running()) return Empty(view);
    const StatusOr<sandbox::UsageStats> usage =
        engine.stats.Container(*view.container);
    // It has ended since.
    if (!usage.ok()) return Empty(view);
    ASSIGN_OR_RETURN(const uint64_t system, SystemCpu());
    const oci::CgroupStats& stats = usage->cgroup;
    Json json = {
        {"name", "/" + view.name()},
        {"id", view.id()},
        {"os_type", "linux"},
        {"read", TimeText(usage->time)},
        {"preread", time},
        {"pids_stats", PidsJson(stats, engine.settings.unified_cgroups)},
        {"blkio_stats", BlockIosJson(stats)},
        {"num_procs", 0},
        {"storage_stats", Json::object()},
        {"cpu_stats", CpuJson(stats.cpu, system)},
        {"precpu_stats", cpu},
        {"memory_stats", MemoryJson(stats.memory)}};
    if (view.sandbox != nullptr) {
      const auto interfaces = engine.stats.Interfaces(*view.sandbox);
      if (interfaces.ok() && !interfaces->empty()) {
        json["networks"] = NetworksJson(*interfaces);
      }
    }
    cpu = json["cpu_stats"];
    time = TimeText(usage->time);
    return json;
  }
};

// Until then, or the end of the request.
Status Pause(const Context& ctx, SteadyTime until) {
  Mutex mutex;
  CondVar never;
  MutexLock lock(mutex);
  (void)ctx.WithDeadline(until).Await(mutex, never, [] { return false; });
  return ctx.Check();
}

Status Once(Engine& engine, Call& call, const View& view) {
  Sampler sampler;
  ASSIGN_OR_RETURN(Json json, sampler.Next(engine, view));
  if (!call.Flag("one-shot") && view.running()) {
    RETURN_IF_ERROR(
        Pause(call.ctx, std::chrono::steady_clock::now() + kInterval));
    const View now = ViewOf(engine, view.id());
    if (now.container == nullptr) {
      return NotFound("No such container: " + call.name);
    }
    ASSIGN_OR_RETURN(json, sampler.Next(engine, now));
  }
  return call.Reply(200, json);
}

// Until the client leaves or the container is removed.
Status Stream(Engine& engine, Call& call, const View& view) {
  RETURN_IF_ERROR(call.http.BeginStream(200, "application/json"));
  Sampler sampler;
  View now = view;
  SteadyTime next = std::chrono::steady_clock::now();
  while (now.container != nullptr) {
    ASSIGN_OR_RETURN(const Json json, sampler.Next(engine, now));
    RETURN_IF_ERROR(call.http.Write(DumpJson(json) + "\n"));
    next += kInterval;
    RETURN_IF_ERROR(Pause(call.ctx, next));
    now = ViewOf(engine, view.id());
  }
  return OkStatus();
}

Status Stats(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const View view, FindView(engine, call.name));
  const bool has_stream = call.http.request().query.count("stream") > 0;
  const bool stream = !has_stream || call.Flag("stream");
  if (stream && call.Flag("one-shot")) {
    return InvalidArgument("cannot have stream=true and one-shot=true");
  }
  return stream ? Stream(engine, call, view) : Once(engine, call, view);
}

}  // namespace

std::vector<Route> ContainerStatsRoutes() {
  return {{"GET", "/containers/{id}/stats", Stats}};
}

}  // namespace berth::docker
