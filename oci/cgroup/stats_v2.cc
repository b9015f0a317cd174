#include "oci/cgroup/stats_v2.h"

#include <vector>

#include "base/strings.h"
#include "oci/cgroup/cgroup_files.h"
#include "oci/cgroup/stats_v1.h"

namespace berth::oci {
namespace {

constexpr uint64_t kNanosPerMicro = 1000;

CpuStats ReadCpu(const std::string& directory) {
  const auto table = ReadTable(directory + "/cpu.stat");
  CpuStats stats;
  stats.total_ns = ValueOf(table, "usage_usec") * kNanosPerMicro;
  stats.user_ns = ValueOf(table, "user_usec") * kNanosPerMicro;
  stats.kernel_ns = ValueOf(table, "system_usec") * kNanosPerMicro;
  stats.periods = ValueOf(table, "nr_periods");
  stats.throttled_periods = ValueOf(table, "nr_throttled");
  stats.throttled_ns = ValueOf(table, "throttled_usec") * kNanosPerMicro;
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
  stats.inactive_file = ValueOf(stats.raw, "inactive_file");
  stats.page_faults = ValueOf(stats.raw, "pgfault");
  stats.major_page_faults = ValueOf(stats.raw, "pgmajfault");
  const auto events = ReadTable(directory + "/memory.events");
  stats.failures = ValueOf(events, "max");
  stats.oom_kills = ValueOf(events, "oom_kill");
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
  stats.hugepages = ReadHugepages(directory, ".current", "", "");
  return stats;
}

}  // namespace berth::oci
