#include "oci/spec/scheduling.h"

#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <linux/sched.h>

#include <utility>

#include "base/strings.h"

namespace berth::oci {
namespace {

// Of kernels newer than the headers that this is built with (linux 6.9).
constexpr int kWeightedInterleave = 6;

template <typename T>
using Name = std::pair<const char*, T>;

constexpr Name<uint32_t> kPolicies[] = {
    {"SCHED_OTHER", SCHED_NORMAL},
    {"SCHED_FIFO", SCHED_FIFO},
    {"SCHED_RR", SCHED_RR},
    {"SCHED_BATCH", SCHED_BATCH},
    {"SCHED_ISO", 4},  // reserved; the kernel says what it thinks of it
    {"SCHED_IDLE", SCHED_IDLE},
    {"SCHED_DEADLINE", SCHED_DEADLINE}};

constexpr Name<uint64_t> kSchedulerFlags[] = {
    {"SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK},
    {"SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM},
    {"SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN},
    {"SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY},
    {"SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS},
    {"SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN},
    {"SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX}};

constexpr Name<int> kIoClasses[] = {{"IOPRIO_CLASS_RT", IOPRIO_CLASS_RT},
                                    {"IOPRIO_CLASS_BE", IOPRIO_CLASS_BE},
                                    {"IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE}};

constexpr Name<int> kMemoryModes[] = {
    {"MPOL_BIND", MPOL_BIND},
    {"MPOL_DEFAULT", MPOL_DEFAULT},
    {"MPOL_INTERLEAVE", MPOL_INTERLEAVE},
    {"MPOL_LOCAL", MPOL_LOCAL},
    {"MPOL_PREFERRED", MPOL_PREFERRED},
    {"MPOL_PREFERRED_MANY", MPOL_PREFERRED_MANY},
    {"MPOL_WEIGHTED_INTERLEAVE", kWeightedInterleave}};

constexpr Name<int> kMemoryFlags[] = {
    {"MPOL_F_NUMA_BALANCING", MPOL_F_NUMA_BALANCING},
    {"MPOL_F_RELATIVE_NODES", MPOL_F_RELATIVE_NODES},
    {"MPOL_F_STATIC_NODES", MPOL_F_STATIC_NODES}};

template <typename T, size_t N>
std::optional<T> Find(const Name<T> (&names)[N], const std::string& wanted) {
  for (const auto& [name, number] : names) {
    if (wanted == name) return number;
  }
  return std::nullopt;
}

template <typename T, size_t N>
std::vector<std::string> NamesOf(const Name<T> (&names)[N]) {
  std::vector<std::string> list;
  for (const auto& entry : names) list.push_back(entry.first);
  return list;
}

std::string WithoutBlanks(const std::string& text) {
  std::string bare;
  for (const char c : text) {
    if (c != ' ' && c != '\t' && c != '\n') bare += c;
  }
  return bare;
}

}  // namespace

std::optional<uint32_t> SchedulerPolicyNumber(const std::string& name) {
  return Find(kPolicies, name);
}

std::optional<uint64_t> SchedulerFlagNumber(const std::string& name) {
  return Find(kSchedulerFlags, name);
}

std::optional<int> IoClassNumber(const std::string& name) {
  return Find(kIoClasses, name);
}

std::optional<int> MemoryModeNumber(const std::string& name) {
  return Find(kMemoryModes, name);
}

std::optional<int> MemoryFlagNumber(const std::string& name) {
  return Find(kMemoryFlags, name);
}

std::vector<std::string> MemoryModes() { return NamesOf(kMemoryModes); }

std::vector<std::string> MemoryFlags() { return NamesOf(kMemoryFlags); }

StatusOr<std::vector<unsigned long>> ParseNumberList(const std::string& list) {
  constexpr size_t kBits = 8 * sizeof(unsigned long);
  std::vector<unsigned long> mask;
  if (list.size() > kMaxListBytes) {
    return InvalidArgument("a list of numbers of more than " +
                           std::to_string(kMaxListBytes) + " bytes");
  }
  const std::string bare = WithoutBlanks(list);
  if (bare.empty()) return mask;
  const Status bad = InvalidArgument(Quoted(list) + " is no list of numbers");
  for (const std::string& range : Split(bare, ',')) {
    if (range.empty()) continue;
    const size_t dash = range.find('-');
    const auto first = ParseUint(range.substr(0, dash));
    const auto last =
        dash == std::string::npos ? first : ParseUint(range.substr(dash + 1));
    if (!first || !last || *first > *last) return bad;
    if (*last > kMaxListedNumber) {
      return InvalidArgument(Quoted(list) + ": no number is above " +
                             std::to_string(kMaxListedNumber));
    }
    if (mask.size() <= *last / kBits) mask.resize(*last / kBits + 1);
    for (uint64_t n = *first; n <= *last; ++n) {
      mask[n / kBits] |= 1ul << (n % kBits);
    }
  }
  return mask;
}

}  // namespace berth::oci
