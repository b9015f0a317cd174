// The fields of HostConfig that limit what a container may use.
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <limits>
#include <optional>
#include <string>

#include "docker/convert/host_field.h"

namespace berth::docker {
namespace {

constexpr int64_t kMinMemory = 6 << 20;

// A number that goes straight into a member of Resources.
Apply Limit(void (state::v1::Resources::*setter)(int64_t)) {
  return [setter](const Field& field) {
    const int64_t number = field.Number();
    if (number < -1) return field.Invalid("must not be negative");
    (field.resources().*setter)(number);
    return OkStatus();
  };
}

Status Memory(const Field& field) {
  const int64_t memory = field.Number();
  if (memory != 0 && memory < kMinMemory) {
    return InvalidArgument("Minimum memory limit allowed is 6MB");
  }
  field.resources().set_memory_limit(memory);
  int64_t swap = 0;
  field.reader.Get("MemorySwap", swap);
  // Unset means as much swap as memory.
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max() / 2;
  if (swap == 0 && memory > 0) swap = memory > kMost ? -1 : 2 * memory;
  if (swap > 0 && memory == 0) {
    return InvalidArgument(
        "You should always set the Memory limit when using Memoryswap limit, "
        "see usage");
  }
  if (swap > 0 && swap < memory) {
    return InvalidArgument(
        "Minimum memoryswap limit should be larger than memory limit, see "
        "usage");
  }
  field.resources().set_memory_swap_limit(swap);
  return OkStatus();
}

Status Reservation(const Field& field) {
  const int64_t reservation = field.Number();
  if (reservation < -1) return field.Invalid("must not be negative");
  if (reservation > 0 && reservation < kMinMemory) {
    return InvalidArgument("Minimum memory reservation allowed is 6MB");
  }
  int64_t memory = 0;
  field.reader.Get("Memory", memory);
  if (memory > 0 && reservation > memory) {
    return InvalidArgument(
        "Minimum memory limit can not be less than memory reservation limit, "
        "see usage");
  }
  field.resources().set_memory_reservation(reservation);
  return OkStatus();
}

Status Period(const Field& field) {
  const int64_t period = field.Number();
  if (period != 0 && (period < 1000 || period > 1000000)) {
    return InvalidArgument(
        "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s "
        "(i.e. 1000000)");
  }
  field.resources().set_cpu_period(period);
  return OkStatus();
}

Status Quota(const Field& field) {
  const int64_t quota = field.Number();
  if (quota < -1) return field.Invalid("must not be negative");
  if (quota > 0 && quota < 1000) {
    return InvalidArgument(
        "CPU cfs quota can not be less than 1ms (i.e. 1000)");
  }
  field.resources().set_cpu_quota(quota);
  return OkStatus();
}

// Read with Memory, which must be there.
Status MemorySwap(const Field& field) {
  if (field.Number() <= 0 || field.reader.Has("Memory")) return OkStatus();
  return field.Invalid("not without Memory");
}

Status Swappiness(const Field& field) {
  std::optional<int64_t> value;
  field.reader.Get("MemorySwappiness", value);
  if (!value.has_value() || *value == -1) return OkStatus();
  if (*value < 0 || *value > 100) {
    return InvalidArgument("Invalid value: " + std::to_string(*value) +
                           ", valid memory swappiness range is 0-100");
  }
  field.resources().set_memory_swappiness(static_cast<uint64_t>(*value));
  return OkStatus();
}

Status NanoCpus(const Field& field) {
  constexpr int64_t kPeriod = 100000;  // microseconds
  const int64_t nano = field.Number();
  if (nano < 0) return field.Invalid("must not be negative");
  if (nano == 0) return OkStatus();
  int64_t quota = 0;
  int64_t period = 0;
  field.reader.Get("CpuQuota", quota);
  field.reader.Get("CpuPeriod", period);
  const int64_t cpus = std::max<int64_t>(sysconf(_SC_NPROCESSORS_ONLN), 1);
  if (nano > cpus * 1000000000) {
    const std::string count = std::to_string(cpus);
    return InvalidArgument("range of CPUs is from 0.01 to " + count +
                           ".00, as there are only " + count +
                           " CPUs available");
  }
  if (quota != 0 || period != 0) {
    return InvalidArgument(
        "Conflicting options: Nano CPUs and CPU Period cannot both be set");
  }
  field.resources().set_cpu_period(kPeriod);
  field.resources().set_cpu_quota(nano / 1000000 * kPeriod / 1000);
  return OkStatus();
}

Status PidsLimit(const Field& field) {
  const int64_t limit = field.Number();
  if (limit > 0) field.resources().set_pids_limit(limit);
  return OkStatus();
}

Status OomScore(const Field& field) {
  const int64_t score = field.Number();
  if (score < -1000 || score > 1000) {
    return InvalidArgument("Invalid value " + std::to_string(score) +
                           ", range for oom score adj is [-1000, 1000]");
  }
  if (score != 0) field.resources().set_oom_score_adj(score);
  return OkStatus();
}

Status Ulimits(const Field& field) {
  for (const Json& element : field.reader.Array("Ulimits")) {
    JsonReader reader(element, "HostConfig.Ulimits");
    std::string name;
    int64_t soft = 0;
    int64_t hard = 0;
    reader.Get("Name", name);
    reader.Get("Soft", soft);
    reader.Get("Hard", hard);
    RETURN_IF_ERROR(reader.status());
    auto* limit = field.request.container.add_rlimits();
    std::string type = "RLIMIT_";
    for (const char c : name) type += static_cast<char>(toupper(c));
    limit->set_type(type);
    // -1 becomes RLIM_INFINITY.
    limit->set_soft(static_cast<uint64_t>(soft));
    limit->set_hard(static_cast<uint64_t>(hard));
  }
  return OkStatus();
}

Status SharedMemory(const Field& field) {
  const int64_t size = field.Number();
  if (size < 0) return InvalidArgument("SHM size can not be less than 0");
  field.request.sandbox.set_shm_size(size);
  return OkStatus();
}

}  // namespace

const std::map<std::string, Apply>& ResourceFields() {
  using R = state::v1::Resources;
  static const auto& table = *new std::map<std::string, Apply>{
      {"CpuPeriod", Period},
      {"CpuQuota", Quota},
      {"CpuRealtimePeriod", Limit(&R::set_cpu_realtime_period)},
      {"CpuRealtimeRuntime", Limit(&R::set_cpu_realtime_runtime)},
      {"CpuShares", Limit(&R::set_cpu_shares)},
      {"CpusetCpus",
       Simple([](const Field& f) { f.resources().set_cpuset_cpus(f.Text()); })},
      {"CpusetMems",
       Simple([](const Field& f) { f.resources().set_cpuset_mems(f.Text()); })},
      {"Memory", Memory},
      {"MemoryReservation", Reservation},
      {"MemorySwap", MemorySwap},
      {"MemorySwappiness", Swappiness},
      {"NanoCpus", NanoCpus},
      {"OomKillDisable", Simple([](const Field& f) {
         f.resources().set_oom_kill_disable(f.Flag());
       })},
      {"OomScoreAdj", OomScore},
      {"PidsLimit", PidsLimit},
      {"ShmSize", SharedMemory},
      {"Ulimits", Ulimits},
  };
  return table;
}

std::vector<std::string> DiscardV1Limits(state::v1::Resources& limits) {
  std::vector<std::string> warnings;
  if (limits.has_memory_swappiness()) {
    warnings.push_back(
        "Your kernel does not support memory swappiness capabilities or the "
        "cgroup is not mounted. Memory swappiness discarded.");
    limits.clear_memory_swappiness();
  }
  if (limits.oom_kill_disable()) {
    warnings.push_back(
        "Your kernel does not support OomKillDisable. OomKillDisable "
        "discarded.");
    limits.clear_oom_kill_disable();
  }
  return warnings;
}

}  // namespace berth::docker
