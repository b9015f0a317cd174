#include "door/request_counts.h"

namespace berth::door {
namespace {

constexpr size_t kMaxMethods = 64;  // the CRI has about forty
constexpr size_t kMaxMethodBytes = 64;

}  // namespace

void RequestCounts::Add(const std::string& door, const std::string& method,
                        StatusCode code, Duration time) {
  MutexLock lock(mutex_);
  ByMethod& methods = doors_[door];
  auto found = methods.find(method);
  if (found == methods.end()) {
    const bool other =
        methods.size() >= kMaxMethods || method.size() > kMaxMethodBytes;
    found = methods.try_emplace(other ? "other" : method).first;
  }
  Sum& sum = found->second[code];
  ++sum.requests;
  sum.time += time;
}

std::vector<RequestCounts::Count> RequestCounts::Read() const {
  MutexLock lock(mutex_);
  std::vector<Count> counts;
  for (const auto& [door, methods] : doors_) {
    for (const auto& [method, codes] : methods) {
      for (const auto& [code, sum] : codes) {
        counts.push_back({door, method, code, sum.requests, sum.time});
      }
    }
  }
  return counts;
}

}  // namespace berth::door
