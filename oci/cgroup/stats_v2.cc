#include "oci/cgroup/stats_v2.h"

#include <cstdlib>
#include <vector>

#include "base/strings.h"
#include "oci/cgroup/cgroup_files.h"
#include "oci/cgroup/stats_v1.h"

namespace berth::oci {
namespace {

constexpr uint64_t kNanosPerMicro = 1000;

// "avg10=0.00 avg60=0.00 avg300=0.00 total=0", behind "some" or "full".
PressureLine ParsePressure(const std::vector<std::string>& words) {
  PressureLine line;
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos) continue;
    const std::string key = word.substr(0, equals);
    const std::string value = word.substr(equals + 1);
    if (key == "avg10") line.average_10 = std::strtod(value.c_str(), nullptr);
    if (key == "avg60") line.average_60 = std::strtod(value.c_str(), nullptr);
    if (key == "avg300") line.average_300 = std::strtod(value.c_str(), nullptr);
    if (key == "total") {
      line.total_ns = ParseUint(value).value_or(0) * kNanosPerMicro;
    }
  }
  return line;
}

// None where the kernel was built or started without it: the file is missing
// or cannot be read (EOPNOTSUPP).
std::optional<Pressure> ReadPressure(const std::string& path) {
  const auto text = ReadCgroupFile(path);
  if (!text.ok()) return std::nullopt;
  Pressure pressure;
  for (const std::string& line : Split(*text, '\n')) {
    const std::vector<std::string> words = Split(line, ' ');
    if (words.empty()) continue;
    if (words[0] == "some") pressure.some = ParsePressure(words);
    if (words[0] == "full") pressure.full = ParsePressure(words);
  }
  return pressure;
}

// "20000 100000", or "max 100000".
void ReadCpuMax(const std::string& path, CpuStats& stats) {
  const auto text = ReadCgroupFile(path);
  if (!text.ok()) return;
  const std::vector<std::string> words = Split(*text, ' ');
  if (words.size() != 2) return;
  stats.quota_us = ParseUint(words[0]).value_or(0);
  stats.period_us = ParseUint(words[1]).value_or(0);
}

CpuStats ReadCpu(const std::string& directory) {
  const auto table = ReadTable(directory + "/cpu.stat");
  CpuStats stats;
  stats.total_ns = ValueOf(table, "usage_usec") * kNanosPerMicro;
  stats.user_ns = ValueOf(table, "user_usec") * kNanosPerMicro;
  stats.kernel_ns = ValueOf(table, "system_usec") * kNanosPerMicro;
  stats.periods = ValueOf(table, "nr_periods");
  stats.throttled_periods = ValueOf(table, "nr_throttled");
  stats.throttled_ns = ValueOf(table, "throttled_usec") * kNanosPerMicro;
  ReadCpuMax(directory + "/cpu.max", stats);
  stats.weight = ReadNumber(directory + "/cpu.weight");
  stats.pressure = ReadPressure(directory + "/cpu.pressure");
  return stats;
}

MemoryStats ReadMemory(const std::string& directory) {
  MemoryStats stats;
  stats.usage = ReadNumber(directory + "/memory.current");
  stats.max_usage = ReadNumber(directory + "/memory.peak");
  stats.limit = ReadNumber(directory + "/memory.max");
  stats.swap = ReadNumber(directory + "/memory.swap.current");
  stats.swap_limit = ReadNumber(directory + "/memory.swap.max");
  stats.raw = ReadTable(directory + "/memory.stat");
  stats.rss = ValueOf(stats.raw, "anon");
  stats.cache = ValueOf(stats.raw, "file");
  stats.active_file = ValueOf(stats.raw, "active_file");
  stats.inactive_file = ValueOf(stats.raw, "inactive_file");
  stats.mapped_file = ValueOf(stats.raw, "file_mapped");
  stats.kernel = ValueOf(stats.raw, "kernel");
  stats.reservation = ReadNumber(directory + "/memory.low");
  stats.page_faults = ValueOf(stats.raw, "pgfault");
  stats.major_page_faults = ValueOf(stats.raw, "pgmajfault");
  const auto events = ReadTable(directory + "/memory.events");
  stats.failures = ValueOf(events, "max");
  stats.oom_kills = ValueOf(events, "oom_kill");
  stats.pressure = ReadPressure(directory + "/memory.pressure");
  return stats;
}

// "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6" lines.
void ReadIo(const std::string& directory, CgroupStats& stats) {
  const auto text = ReadCgroupFile(directory + "/io.stat");
  if (!text.ok()) return;
  for (const std::string& line : Split(*text, '\n')) {
    const std::vector<std::string> words = Split(line, ' ');
    const std::vector<std::string> device =
        words.empty() ? words : Split(words[0], ':');
    if (device.size() != 2) continue;
    BlockIoEntry entry;
    entry.major = ParseUint(device[0]).value_or(0);
    entry.minor = ParseUint(device[1]).value_or(0);
    for (size_t i = 1; i < words.size(); ++i) {
      const size_t equals = words[i].find('=');
      if (equals == std::string::npos) continue;
      const std::string key = words[i].substr(0, equals);
      entry.value = ParseUint(words[i].substr(equals + 1)).value_or(0);
      entry.op = key[0] == 'r' ? "Read" : key[0] == 'w' ? "Write" : "Discard";
      if (EndsWith(key, "bytes")) stats.io_bytes.push_back(entry);
      if (EndsWith(key, "ios")) stats.io_operations.push_back(entry);
    }
  }
}

}  // namespace

CgroupStats ReadStatsV2(const std::string& directory) {
  CgroupStats stats;
  stats.cpu = ReadCpu(directory);
  stats.memory = ReadMemory(directory);
  stats.pids = ReadNumber(directory + "/pids.current");
  stats.pids_limit = ReadNumber(directory + "/pids.max");
  ReadIo(directory, stats);
  stats.io_pressure = ReadPressure(directory + "/io.pressure");
  stats.hugepages = ReadHugepages(directory, ".current", "", "");
  return stats;
}

}  // namespace berth::oci
