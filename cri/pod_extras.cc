#include "cri/pod_extras.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "base/strings.h"

namespace berth::cri {
namespace {

using state::v1::Rlimit;
using Ulimits = std::map<std::string, Rlimit>;

// getrlimit(2).
constexpr std::string_view kNames[] = {
    "as",      "core",     "cpu",        "data",   "fsize", "locks",
    "memlock", "msgqueue", "nice",       "nofile", "nproc", "rss",
    "rtprio",  "rttime",   "sigpending", "stack"};

// "64m", "128Mi", "1g", bytes.
StatusOr<int64_t> ParseSize(const std::string& text) {
  const size_t digits = text.find_first_not_of("0123456789");
  const auto number = ParseInt(text.substr(0, digits));
  std::string unit = digits == std::string::npos ? "" : text.substr(digits);
  std::transform(unit.begin(), unit.end(), unit.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  static const auto& shifts = *new std::map<std::string, int>{
      {"", 0},   {"b", 0},   {"k", 10}, {"ki", 10},
      {"m", 20}, {"mi", 20}, {"g", 30}, {"gi", 30}};
  const auto shift = shifts.find(unit);
  if (!number.has_value() || *number <= 0 || shift == shifts.end() ||
      *number > std::numeric_limits<int64_t>::max() >> shift->second) {
    return InvalidArgument(Quoted(text) + " is not a size");
  }
  return *number << shift->second;
}

std::optional<uint64_t> ParseLimit(const std::string& text) {
  if (text == "unlimited" || text == "-1") return UINT64_MAX;
  return ParseUint(text);
}

// "nofile=1024:4096", "core=0".
StatusOr<Rlimit> ParseUlimit(const std::string& text) {
  const size_t equals = text.find('=');
  std::string name = text.substr(0, equals);
  if (equals == std::string::npos ||
      std::find(std::begin(kNames), std::end(kNames), name) ==
          std::end(kNames)) {
    return InvalidArgument(Quoted(text) + " is not NAME=SOFT[:HARD]");
  }
  const std::string values = text.substr(equals + 1);
  const size_t colon = values.find(':');
  const auto soft = ParseLimit(values.substr(0, colon));
  const auto hard =
      colon == std::string::npos ? soft : ParseLimit(values.substr(colon + 1));
  if (!soft.has_value() || !hard.has_value() || *soft > *hard) {
    return InvalidArgument(Quoted(text) + ": no limits, or soft above hard");
  }
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return static_cast<char>(c - 'a' + 'A'); });
  Rlimit limit;
  limit.set_type("RLIMIT_" + name);
  limit.set_soft(*soft);
  limit.set_hard(*hard);
  return limit;
}

Status AddUlimits(const std::vector<std::string>& texts, Ulimits& to) {
  for (const std::string& text : texts) {
    ASSIGN_OR_RETURN(Rlimit limit, ParseUlimit(std::string(Trim(text))));
    std::string type = limit.type();
    to[std::move(type)] = std::move(limit);
  }
  return OkStatus();
}

// The text of the annotation; null unless the pod has it and the node allows
// it.
const std::string* Find(const PodExtras& extras,
                        const state::v1::SandboxConfig& pod, const char* name,
                        const std::string& of = "") {
  if (extras.annotations.count(name) == 0) return nullptr;
  const auto found = pod.annotations().find(name + of);
  return found == pod.annotations().end() ? nullptr : &found->second;
}

}  // namespace

StatusOr<PodExtras> ParsePodExtras(
    const std::string& shm_size, const std::vector<std::string>& ulimits,
    const std::vector<std::string>& annotations) {
  PodExtras extras;
  if (!shm_size.empty()) {
    ASSIGN_OR_RETURN_AS(extras.shm_size, ParseSize(shm_size), "shm_size");
  }
  RETURN_IF_ERROR_AS(AddUlimits(ulimits, extras.ulimits), "ulimits");
  for (const std::string& name : annotations) {
    if (name != kShmSize && name != kUlimits) {
      return InvalidArgument("annotations: unknown: " + Quoted(name));
    }
    extras.annotations.insert(name);
  }
  return extras;
}

Status AddExtras(const PodExtras& extras, state::v1::SandboxConfig& pod) {
  pod.set_shm_size(extras.shm_size);
  if (const std::string* size = Find(extras, pod, kShmSize)) {
    ASSIGN_OR_RETURN_AS(const int64_t bytes, ParseSize(*size),
                        std::string("annotation ") + kShmSize);
    pod.set_shm_size(bytes);
  }
  return OkStatus();
}

Status AddExtras(const PodExtras& extras, const state::v1::SandboxConfig& pod,
                 state::v1::ContainerConfig& container) {
  Ulimits all = extras.ulimits;
  for (const std::string& of : {std::string(), "/" + container.name()}) {
    if (const std::string* texts = Find(extras, pod, kUlimits, of)) {
      RETURN_IF_ERROR_AS(AddUlimits(Split(*texts, ','), all),
                         std::string("annotation ") + kUlimits + of);
    }
  }
  for (auto& [type, limit] : all) *container.add_rlimits() = std::move(limit);
  return OkStatus();
}

}  // namespace berth::cri
