#include "sandbox/usage/stats.h"

#include <sched.h>

#include <algorithm>
#include <sstream>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/namespace.h"
#include "base/thread.h"

namespace berth::sandbox {
namespace {

// A rate over a shorter time than this says little; the last one is repeated.
constexpr UnixNanos kLeastInterval = 500'000'000;
// Samples of objects that nobody has asked about for so long are dropped.
constexpr UnixNanos kForget = 600'000'000'000;
// The most of /proc/net/dev that is read: some 30,000 interfaces.
constexpr uint64_t kNetDev = 4 << 20;

bool Runs(const ContainerRecord& container) {
  return container.phase() == ContainerPhase::CONTAINER_PHASE_RUNNING ||
         container.phase() == ContainerPhase::CONTAINER_PHASE_STOPPING;
}

// A cgroup of its own, rather than the one that all are in.
bool HasCgroup(const SandboxRecord& sandbox) {
  return !sandbox.config().cgroup_parent().empty() || sandbox.cgroup().made();
}

// What is told of a pod as a whole.
void Add(const UsageStats& part, UsageStats& sum) {
  if (part.nano_cores.has_value()) {
    sum.nano_cores = sum.nano_cores.value_or(0) + *part.nano_cores;
  }
  sum.cgroup.cpu.total_ns += part.cgroup.cpu.total_ns;
  sum.cgroup.pids += part.cgroup.pids;
  oci::MemoryStats& memory = sum.cgroup.memory;
  memory.usage += part.cgroup.memory.usage;
  memory.rss += part.cgroup.memory.rss;
  memory.cache += part.cgroup.memory.cache;
  memory.inactive_file += part.cgroup.memory.inactive_file;
  memory.swap += part.cgroup.memory.swap;
  memory.page_faults += part.cgroup.memory.page_faults;
  memory.major_page_faults += part.cgroup.memory.major_page_faults;
}

// In a thread of its own, for its network namespace changes and is not to
// change back: a thread is cheaper than a way to fail in the middle.
StatusOr<std::string> ReadNetDev(int netns) {
  StatusOr<std::string> text = Internal("the thread ended early");
  ASSIGN_OR_RETURN(Thread reader, StartThread("net-stats", [&] {
                     const Status entered = EnterNamespace(netns, CLONE_NEWNET);
                     text = entered.ok()
                                ? ReadFile("/proc/thread-self/net/dev", kNetDev)
                                : entered;
                   }));
  reader.Join();
  return text;
}

// "  eth0: 1 2 3 ...": eight numbers received, eight sent.
bool ParseLine(const std::string& line, InterfaceStats& stats) {
  const size_t colon = line.find(':');
  if (colon == std::string::npos) return false;
  stats.name = std::string(Trim(line.substr(0, colon)));
  std::istringstream numbers(line.substr(colon + 1));
  uint64_t skip = 0;
  numbers >> stats.rx_bytes >> stats.rx_packets >> stats.rx_errors >>
      stats.rx_dropped >> skip >> skip >> skip >> skip >> stats.tx_bytes >>
      stats.tx_packets >> stats.tx_errors >> stats.tx_dropped;
  return !numbers.fail() && stats.name != "lo";
}

}  // namespace

std::vector<InterfaceStats> ParseNetDev(const std::string& text) {
  std::vector<InterfaceStats> interfaces;
  for (const std::string& line : Split(text, '\n')) {
    InterfaceStats stats;
    if (ParseLine(line, stats)) interfaces.push_back(stats);
  }
  std::stable_partition(interfaces.begin(), interfaces.end(),
                        [](const auto& i) { return i.name == "eth0"; });
  return interfaces;
}

StatusOr<std::unique_ptr<StatsReader>> StatsReader::Open() {
  ASSIGN_OR_RETURN(oci::CgroupHost host, oci::CgroupHost::Detect());
  return std::make_unique<StatsReader>(std::move(host));
}

StatusOr<std::unique_ptr<oci::Cgroup>> StatsReader::Open(
    const ContainerRecord& container) const {
  if (!Runs(container)) {
    return FailedPrecondition("read usage of container " + container.id() +
                              ": it does not run");
  }
  ASSIGN_OR_RETURN(const std::string path,
                   oci::CgroupPath(container.cgroup(), container.id()));
  return oci::OpenCgroup(host_, path);
}

StatusOr<UsageStats> StatsReader::Container(const ContainerRecord& container) {
  ASSIGN_OR_RETURN(const std::unique_ptr<oci::Cgroup> cgroup, Open(container));
  return Read(container.id(), *cgroup);
}

StatusOr<ProcessStats> StatsReader::Processes(
    const ContainerRecord& container) const {
  ASSIGN_OR_RETURN(const std::unique_ptr<oci::Cgroup> cgroup, Open(container));
  ASSIGN_OR_RETURN(const std::vector<pid_t> pids, cgroup->Pids());
  return ReadProcessStats(pids, container.pid());
}

StatusOr<UsageStats> StatsReader::Sandbox(
    const SandboxRecord& sandbox,
    const std::vector<ContainerStatus>& containers) {
  if (!HasCgroup(sandbox)) {
    UsageStats sum;
    sum.time = Now();
    for (const ContainerStatus& container : containers) {
      // One that ends meanwhile has nothing to add.
      const StatusOr<UsageStats> usage = Container(*container);
      if (usage.ok()) Add(*usage, sum);
    }
    return sum;
  }
  ASSIGN_OR_RETURN(const std::string path,
                   oci::CgroupPath(sandbox.cgroup().pod_path(), sandbox.id()));
  ASSIGN_OR_RETURN(const std::unique_ptr<oci::Cgroup> cgroup,
                   oci::OpenCgroup(host_, path));
  StatusOr<UsageStats> usage = Read(sandbox.id(), *cgroup);
  // No container has made it yet.
  if (IsNotFound(usage.status())) {
    UsageStats nothing;
    nothing.time = Now();
    return nothing;
  }
  return usage;
}

StatusOr<UsageStats> StatsReader::Read(const std::string& id,
                                       const oci::Cgroup& cgroup) {
  UsageStats usage;
  usage.time = Now();
  ASSIGN_OR_RETURN(usage.cgroup, cgroup.Stats());
  usage.nano_cores = Rate(id, usage.time, usage.cgroup.cpu.total_ns);
  return usage;
}

std::optional<uint64_t> StatsReader::Rate(const std::string& id, UnixNanos time,
                                          uint64_t cpu) {
  MutexLock lock(mutex_);
  if (time - swept_ > kForget) {
    swept_ = time;
    std::erase_if(last_, [time](const auto& entry) {
      return time - entry.second.time > kForget;
    });
  }
  const auto found = last_.find(id);
  if (found == last_.end()) {
    last_[id] = {time, cpu, std::nullopt};
    return std::nullopt;
  }
  Sample& last = found->second;
  const UnixNanos passed = time - last.time;
  if (passed < 0) {  // the clock was set back
    last = {time, cpu, std::nullopt};
    return std::nullopt;
  }
  if (passed < kLeastInterval) return last.rate;
  const uint64_t used = cpu > last.cpu ? cpu - last.cpu : 0;
  const uint64_t rate = static_cast<uint64_t>(static_cast<double>(used) * 1e9 /
                                              static_cast<double>(passed));
  last = {time, cpu, rate};
  return rate;
}

StatusOr<std::vector<InterfaceStats>> StatsReader::Interfaces(
    const SandboxRecord& sandbox) const {
  const std::string& path = sandbox.namespaces().network();
  if (path.empty()) return std::vector<InterfaceStats>();
  ASSIGN_OR_RETURN(const UniqueFd netns, OpenNamespace(path, CLONE_NEWNET));
  ASSIGN_OR_RETURN_AS(const std::string text, ReadNetDev(netns.get()),
                      "read interfaces of sandbox " + sandbox.id());
  return ParseNetDev(text);
}

}  // namespace berth::sandbox
