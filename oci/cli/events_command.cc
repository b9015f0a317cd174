// events: what a container uses, and when it runs out of memory, as runc
// prints it: one JSON object a line.
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>

#include "base/json.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "oci/cgroup/cgroup.h"
#include "oci/cli/commands.h"
#include "oci/container/container.h"

namespace berth::oci {
namespace {

const std::vector<FlagSpec> kEventsFlags = {
    {"interval", "", true, "time between two statistics (default: 5s)"},
    {"stats", "", false, "show them once"},
};

constexpr struct {
  const char* name;
  int64_t nanoseconds;
} kUnits[] = {{"ns", 1},         {"us", 1000},       {"ms", 1000000},
              {"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000}};

// A number of nanoseconds from "1m30s", "0.5s": Go's durations.
std::optional<int64_t> ParseDuration(std::string_view text) {
  double total = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    const size_t end =
        std::min(text.find_first_not_of("0123456789."), text.size());
    const size_t next =
        std::min(text.find_first_of("0123456789.", end), text.size());
    const std::string number(text.substr(0, end));
    const std::string_view unit = text.substr(end, next - end);
    const auto known =
        std::find_if(std::begin(kUnits), std::end(kUnits),
                     [&](const auto& entry) { return unit == entry.name; });
    char* rest = nullptr;
    const double value = strtod(number.c_str(), &rest);
    if (number.empty() || *rest != 0 || known == std::end(kUnits)) {
      return std::nullopt;
    }
    total += value * static_cast<double>(known->nanoseconds);
    text.remove_prefix(next);
  }
  if (total <= 0 || total > 9e18) return std::nullopt;
  return static_cast<int64_t>(total);
}

Json PressureJson(const Pressure& pressure) {
  const auto line = [](const PressureLine& from) {
    return Json{{"avg10", from.average_10},
                {"avg60", from.average_60},
                {"avg300", from.average_300},
                {"total", from.total_ns / 1000}};
  };
  return {{"some", line(pressure.some)}, {"full", line(pressure.full)}};
}

Json CpuJson(const CpuStats& cpu) {
  Json usage = {{"total", cpu.total_ns},
                {"kernel", cpu.kernel_ns},
                {"user", cpu.user_ns}};
  if (!cpu.per_cpu_ns.empty()) usage["percpu"] = cpu.per_cpu_ns;
  Json throttling = Json::object();
  if (cpu.periods != 0) throttling["periods"] = cpu.periods;
  if (cpu.throttled_periods != 0) {
    throttling["throttledPeriods"] = cpu.throttled_periods;
  }
  if (cpu.throttled_ns != 0) throttling["throttledTime"] = cpu.throttled_ns;
  Json json = {{"usage", usage}, {"throttling", throttling}};
  if (cpu.pressure) json["psi"] = PressureJson(*cpu.pressure);
  return json;
}

Json MemoryJson(const MemoryStats& memory) {
  Json json = {
      {"usage",
       {{"limit", memory.limit},
        {"usage", memory.usage},
        {"max", memory.max_usage},
        {"failcnt", memory.failures}}},
      {"swap",
       {{"limit", memory.swap_limit}, {"usage", memory.swap}, {"failcnt", 0}}},
      {"kernel",
       {{"limit", kNoLimit}, {"usage", memory.kernel}, {"failcnt", 0}}},
      {"kernelTCP", {{"limit", kNoLimit}, {"failcnt", 0}}},
      {"raw", memory.raw}};
  if (memory.cache != 0) json["cache"] = memory.cache;
  if (memory.pressure) json["psi"] = PressureJson(*memory.pressure);
  return json;
}

Json BlockIoJson(const CgroupStats& stats) {
  const auto list = [](const std::vector<BlockIoEntry>& entries) {
    Json array = Json::array();
    for (const BlockIoEntry& entry : entries) {
      array.push_back({{"major", entry.major},
                       {"minor", entry.minor},
                       {"op", entry.op},
                       {"value", entry.value}});
    }
    return array;
  };
  Json json = Json::object();
  if (!stats.io_bytes.empty()) {
    json["ioServiceBytesRecursive"] = list(stats.io_bytes);
  }
  if (!stats.io_operations.empty()) {
    json["ioServicedRecursive"] = list(stats.io_operations);
  }
  if (stats.io_pressure) json["psi"] = PressureJson(*stats.io_pressure);
  return json;
}

Json StatsJson(const CgroupStats& stats) {
  Json pids = Json::object();
  if (stats.pids != 0) pids["current"] = stats.pids;
  if (stats.pids_limit != kNoLimit) pids["limit"] = stats.pids_limit;
  Json hugepages = Json::object();
  for (const auto& [size, used] : stats.hugepages) {
    hugepages[size] = {{"usage", used.usage},
                       {"max", used.max_usage},
                       {"failcnt", used.failures}};
  }
  return {
      {"cpu", CpuJson(stats.cpu)},          {"cpuset", Json::object()},
      {"memory", MemoryJson(stats.memory)}, {"pids", pids},
      {"blkio", BlockIoJson(stats)},        {"hugetlb", hugepages},
      {"intel_rdt", Json::object()},        {"network_interfaces", nullptr}};
}

Status PrintEvent(const Container& container, const char* type, Json data) {
  Json event = {{"type", type}, {"id", container.id()}};
  if (!data.is_null()) event["data"] = std::move(data);
  return WriteAll(STDOUT_FILENO, DumpJson(event) + "\n");
}

Status PrintStats(const Container& container, const Cgroup& cgroup) {
  ASSIGN_OR_RETURN(const CgroupStats stats, cgroup.Stats());
  return PrintEvent(container, "stats", StatsJson(stats));
}

// False at the end: the container has stopped, or its cgroup is gone.
StatusOr<bool> GoesOn(const Container& container) {
  const auto state = container.State();
  if (IsNotFound(state.status())) return false;
  RETURN_IF_ERROR(state.status());
  return state->status != ContainerStatus::kStopped;
}

// Waits for one interval, or a kill, of which it tells.
Status AwaitEvent(const Container& container, OomWatch& watch,
                  std::chrono::milliseconds interval) {
  struct pollfd fired = {watch.fd(), static_cast<short>(watch.events()), 0};
  const int ready =
      TEMP_FAILURE_RETRY(poll(&fired, 1, static_cast<int>(interval.count())));
  if (ready < 0) return Errno(errno, "wait for events");
  if (ready == 0) return OkStatus();
  ASSIGN_OR_RETURN(const uint64_t kills, watch.Read());
  for (uint64_t i = 0; i < kills; ++i) {
    RETURN_IF_ERROR(PrintEvent(container, "oom", Json()));
  }
  return OkStatus();
}

Status Follow(const Container& container, const Cgroup& cgroup,
              int64_t interval) {
  using Clock = std::chrono::steady_clock;
  const auto pause = std::max(
      std::chrono::milliseconds(1),
      std::chrono::duration_cast<std::chrono::milliseconds>(
          std::chrono::nanoseconds(std::min(interval, kUnits[5].nanoseconds))));
  ASSIGN_OR_RETURN(const std::unique_ptr<OomWatch> watch, cgroup.WatchOom());
  Clock::time_point due = Clock::now() + pause;
  while (true) {
    ASSIGN_OR_RETURN(const bool goes_on, GoesOn(container));
    if (!goes_on) return OkStatus();
    if (Clock::now() >= due) {
      RETURN_IF_ERROR(PrintStats(container, cgroup));
      due += pause;
    }
    // Its end is looked for each second: no descriptor tells of it.
    const auto wait = std::clamp(
        std::chrono::duration_cast<std::chrono::milliseconds>(due -
                                                              Clock::now()),
        std::chrono::milliseconds(1), std::chrono::milliseconds(1000));
    RETURN_IF_ERROR(AwaitEvent(container, *watch, wait));
  }
}

}  // namespace

StatusOr<int> RunEvents(const Invocation& invocation) {
  ASSIGN_OR_RETURN(const Flags flags,
                   ParseCommand(invocation, kEventsFlags, 1, 1));
  const auto interval = ParseDuration(flags.Get("interval", "5s"));
  if (!interval) {
    return InvalidArgument("duration interval must be greater than 0, not " +
                           Quoted(flags.Get("interval")));
  }
  ASSIGN_OR_RETURN(const Container container,
                   Container::Load(invocation.root, flags.positional()[0]));
  ASSIGN_OR_RETURN(const bool runs, GoesOn(container));
  if (!runs) {
    return FailedPrecondition("container with id " + container.id() +
                              " is not running");
  }
  ASSIGN_OR_RETURN(const Cgroup* const cgroup, container.GetCgroup());
  const Status shown = flags.On("stats")
                           ? PrintStats(container, *cgroup)
                           : Follow(container, *cgroup, *interval);
  // Its cgroup has gone meanwhile: there is nothing more to tell.
  if (!flags.On("stats") && IsNotFound(shown)) return 0;
  RETURN_IF_ERROR(shown);
  return 0;
}

}  // namespace berth::oci
