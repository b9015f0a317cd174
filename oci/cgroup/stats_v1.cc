#include "oci/cgroup/stats_v1.h"

#include <dirent.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <memory>
#include <utility>

#include "base/strings.h"
#include "oci/cgroup/cgroup_files.h"

namespace berth::oci {
namespace {

CpuStats ReadCpu(const std::string& cpu, const std::string& cpuacct) {
  CpuStats stats;
  if (!cpuacct.empty()) {
    stats.total_ns = ReadNumber(cpuacct + "/cpuacct.usage");
    stats.user_ns = ReadNumber(cpuacct + "/cpuacct.usage_user");
    stats.kernel_ns = ReadNumber(cpuacct + "/cpuacct.usage_sys");
    const auto each = ReadCgroupFile(cpuacct + "/cpuacct.usage_percpu");
    if (each.ok()) {
      for (const std::string& part : Split(*each, ' ')) {
        if (const auto ns = ParseUint(part)) stats.per_cpu_ns.push_back(*ns);
      }
    }
  }
  if (!cpu.empty()) {
    const auto table = ReadTable(cpu + "/cpu.stat");
    stats.periods = ValueOf(table, "nr_periods");
    stats.throttled_periods = ValueOf(table, "nr_throttled");
    stats.throttled_ns = ValueOf(table, "throttled_time");
    // -1, no limit, is no number here and reads as 0.
    stats.quota_us = ReadNumber(cpu + "/cpu.cfs_quota_us");
    stats.period_us = ReadNumber(cpu + "/cpu.cfs_period_us");
    stats.shares = ReadNumber(cpu + "/cpu.shares");
  }
  return stats;
}

MemoryStats ReadMemory(const std::string& directory) {
  MemoryStats stats;
  if (directory.empty()) return stats;
  stats.usage = ReadNumber(directory + "/memory.usage_in_bytes");
  stats.max_usage = ReadNumber(directory + "/memory.max_usage_in_bytes");
  stats.limit = ReadNumber(directory + "/memory.limit_in_bytes");
  stats.failures = ReadNumber(directory + "/memory.failcnt");
  stats.swap_limit = ReadNumber(directory + "/memory.memsw.limit_in_bytes");
  stats.swap_with_memory = true;
  stats.raw = ReadTable(directory + "/memory.stat");
  stats.rss = ValueOf(stats.raw, "total_rss");
  stats.cache = ValueOf(stats.raw, "total_cache");
  stats.active_file = ValueOf(stats.raw, "total_active_file");
  stats.inactive_file = ValueOf(stats.raw, "total_inactive_file");
  stats.mapped_file = ValueOf(stats.raw, "total_mapped_file");
  stats.kernel = ReadNumber(directory + "/memory.kmem.usage_in_bytes");
  stats.reservation = ReadNumber(directory + "/memory.soft_limit_in_bytes");
  stats.swap = ValueOf(stats.raw, "total_swap");
  stats.page_faults = ValueOf(stats.raw, "total_pgfault");
  stats.major_page_faults = ValueOf(stats.raw, "total_pgmajfault");
  stats.oom_kills =
      ValueOf(ReadTable(directory + "/memory.oom_control"), "oom_kill");
  return stats;
}

// "8:0 Read 4096" lines; the totals at the end have no device.
std::vector<BlockIoEntry> ReadBlockIo(const std::string& path) {
  std::vector<BlockIoEntry> entries;
  const auto text = ReadCgroupFile(path);
  if (!text.ok()) return entries;
  for (const std::string& line : Split(*text, '\n')) {
    const std::vector<std::string> words = Split(line, ' ');
    if (words.size() != 3) continue;
    const std::vector<std::string> device = Split(words[0], ':');
    if (device.size() != 2) continue;
    entries.push_back({.major = ParseUint(device[0]).value_or(0),
                       .minor = ParseUint(device[1]).value_or(0),
                       .op = words[1],
                       .value = ParseUint(words[2]).value_or(0)});
  }
  return entries;
}

}  // namespace

CgroupStats ReadStatsV1(
    const std::function<std::string(std::string_view controller)>&
        directory_of) {
  CgroupStats stats;
  stats.cpu = ReadCpu(directory_of("cpu"), directory_of("cpuacct"));
  stats.memory = ReadMemory(directory_of("memory"));
  const std::string pids = directory_of("pids");
  if (!pids.empty()) {
    stats.pids = ReadNumber(pids + "/pids.current");
    stats.pids_limit = ReadNumber(pids + "/pids.max");
  }
  const std::string blkio = directory_of("blkio");
  if (!blkio.empty()) {
    stats.io_bytes =
        ReadBlockIo(blkio + "/blkio.throttle.io_service_bytes_recursive");
    stats.io_operations =
        ReadBlockIo(blkio + "/blkio.throttle.io_serviced_recursive");
  }
  const std::string hugetlb = directory_of("hugetlb");
  if (!hugetlb.empty()) {
    stats.hugepages = ReadHugepages(hugetlb, ".usage_in_bytes",
                                    ".max_usage_in_bytes", ".failcnt");
  }
  return stats;
}

std::map<std::string, HugepageStats> ReadHugepages(
    const std::string& directory, const std::string& usage_suffix,
    const std::string& max_suffix, const std::string& failures_suffix) {
  std::map<std::string, HugepageStats> sizes;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(directory.c_str()),
                                                closedir);
  if (dir == nullptr) return sizes;
  const std::string prefix = "hugetlb.";
  while (const dirent* const entry = readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (!StartsWith(name, prefix) || !EndsWith(name, usage_suffix)) continue;
    const std::string size = name.substr(
        prefix.size(), name.size() - prefix.size() - usage_suffix.size());
    if (size.find('.') != std::string::npos) continue;  // rsvd
    const std::string stem = directory + "/" + prefix + size;
    HugepageStats& stats = sizes[size];
    stats.usage = ReadNumber(stem + usage_suffix);
    if (!max_suffix.empty()) stats.max_usage = ReadNumber(stem + max_suffix);
    if (!failures_suffix.empty()) {
      stats.failures = ReadNumber(stem + failures_suffix);
    }
  }
  return sizes;
}

StatusOr<uint64_t> OomKills::Update(int fd) {
  char text[512];
  const ssize_t n = TEMP_FAILURE_RETRY(pread(fd, text, sizeof(text), 0));
  if (n < 0) {
    return errno == ENODEV ? NotFound("the cgroup is gone")
                           : Errno(errno, "read memory events");
  }
  uint64_t now = seen_;
  for (const std::string& line :
       Split(std::string_view(text, static_cast<size_t>(n)), '\n')) {
    if (!StartsWith(line, "oom_kill ")) continue;
    now = ParseUint(Trim(std::string_view(line).substr(9))).value_or(now);
  }
  return now - std::exchange(seen_, now);
}

}  // namespace berth::oci
