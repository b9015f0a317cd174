#include "sandbox/record/name_index.h"

namespace berth::sandbox {
namespace {

// Parts may hold any character but this one.
std::string JoinParts(std::initializer_list<std::string> parts) {
  std::string joined;
  for (const std::string& part : parts) joined.append(part).push_back('\0');
  return joined;
}

}  // namespace

NameIndex::Claim::Claim(Claim&& other) noexcept
    : index_(std::exchange(other.index_, nullptr)),
      name_(std::move(other.name_)),
      id_(std::move(other.id_)),
      busy_(other.busy_) {}

NameIndex::Claim::~Claim() {
  if (index_ != nullptr) index_->Release(name_, id_);
}

void NameIndex::Claim::Keep() {
  if (index_ != nullptr) index_->Put(name_, id_);
  index_ = nullptr;
}

void NameIndex::Claim::Keep(const std::string& id) {
  id_ = id;
  Keep();
}

NameIndex::Claim NameIndex::Take(const std::string& name,
                                 const std::string& id) {
  MutexLock lock(mutex_);
  const auto [it, inserted] = holders_.try_emplace(name, Holder{id, true});
  if (inserted) return Claim(this, name, id, true);
  return Claim(nullptr, name, it->second.id, it->second.busy);
}

void NameIndex::Put(const std::string& name, const std::string& id) {
  MutexLock lock(mutex_);
  holders_[name] = Holder{id, false};
}

void NameIndex::Release(const std::string& name, const std::string& id) {
  MutexLock lock(mutex_);
  const auto it = holders_.find(name);
  if (it != holders_.end() && it->second.id == id) holders_.erase(it);
}

std::string NameOf(const state::v1::SandboxConfig& config) {
  const auto& metadata = config.metadata();
  if (config.kind() == state::v1::SANDBOX_KIND_STANDALONE) {
    return JoinParts({"standalone", metadata.name()});
  }
  return JoinParts({"pod", metadata.name(), metadata.namespace_(),
                    metadata.uid(), std::to_string(metadata.attempt())});
}

std::string NameOf(const std::string& sandbox_id,
                   const state::v1::ContainerConfig& config) {
  return JoinParts({"container", sandbox_id, config.name(),
                    std::to_string(config.attempt())});
}

bool IsStandalone(const state::v1::ContainerRecord& container) {
  return container.id() == container.sandbox_id();
}

std::string StandaloneName(const std::string& name) {
  return JoinParts({"standalone container", name});
}

}  // namespace berth::sandbox
