#ifndef NRI_MERGE_H_
#define NRI_MERGE_H_

#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "nri/messages.h"
#include "nri/owners.h"

namespace berth::nri {

// What plugins want of containers that are there already.
struct Changes {
  std::vector<api::ContainerUpdate> updates;  // one for each container
  std::vector<api::ContainerEviction> evictions;
};

// Collects what plugins, one after another, want of a container that is being
// created, and of others. What they are shown of it follows, so that each finds
// what those before it have done. Two plugins that set one thing are an error
// that names both, unless the second takes away what the first has set: a name
// with a "-" before it. Hooks only grow. Thread-compatible.
class Merge {
 public:
  // `shown`: as it is without plugins; must outlive this.
  explicit Merge(api::Container& shown) : shown_(shown) {}

  // The answer of one plugin, "10-name". INVALID_ARGUMENT for what no plugin
  // may ask.
  Status Add(const std::string& plugin, api::CreateContainerResponse answer);

  const api::ContainerAdjustment& adjustment() const { return adjustment_; }
  const Changes& others() const { return others_; }
  const Owners& owners() const { return owners_; }

 private:
  Status Adjust(const std::string& plugin,
                const api::ContainerAdjustment& from);
  Status AdjustAnnotations(const std::string& plugin,
                           const api::ContainerAdjustment& from);
  Status AdjustMounts(const std::string& plugin,
                      const api::ContainerAdjustment& from);
  Status AdjustEnv(const std::string& plugin,
                   const api::ContainerAdjustment& from);
  Status AdjustArgs(const std::string& plugin,
                    const api::ContainerAdjustment& from);
  void AdjustHooks(const std::string& plugin,
                   const api::ContainerAdjustment& from);
  Status AdjustLists(const std::string& plugin,
                     const api::ContainerAdjustment& from);
  Status AdjustLinux(const std::string& plugin,
                     const api::LinuxContainerAdjustment& from);
  Status AdjustDevices(const std::string& plugin,
                       const api::LinuxContainerAdjustment& from);
  Status AdjustNamespaces(const std::string& plugin,
                          const api::LinuxContainerAdjustment& from);
  Status AdjustMaps(const std::string& plugin,
                    const api::LinuxContainerAdjustment& from);
  Status AdjustSingles(const std::string& plugin,
                       const api::LinuxContainerAdjustment& from);
  Status AdjustRdt(const std::string& plugin, const api::LinuxRdt& from);
  Status Claim(const std::string& plugin, api::Field field,
               const std::string& key = "") {
    return owners_.Claim(shown_.id(), field, plugin, key);
  }
  void Clear(api::Field field, const std::string& key = "") {
    owners_.Clear(shown_.id(), field, key);
  }

  api::Container& shown_;
  api::ContainerAdjustment adjustment_;
  Changes others_;
  Owners owners_;
};

// The same for plugins that are told of a container's new limits, or its end.
// Thread-compatible.
class ChangeMerge {
 public:
  // `asked`: the new limits of container `id`, which the plugins may change.
  ChangeMerge(std::string id, api::LinuxResources asked)
      : id_(std::move(id)), asked_(std::move(asked)) {}
  // No new limits.
  ChangeMerge() = default;

  Status Add(
      const std::string& plugin,
      const google::protobuf::RepeatedPtrField<api::ContainerUpdate>& updates,
      const google::protobuf::RepeatedPtrField<api::ContainerEviction>&
          evictions);
  // The limits that were asked for, as plugins want them.
  const api::LinuxResources& asked() const { return asked_; }
  const Changes& others() const { return others_; }

 private:
  const std::string id_;
  api::LinuxResources asked_;
  Changes others_;
  Owners owners_;
};

}  // namespace berth::nri

#endif  // NRI_MERGE_H_
