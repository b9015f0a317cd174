#ifndef NRI_MERGE_RESOURCES_H_
#define NRI_MERGE_RESOURCES_H_

#include <string>

#include "base/status.h"
#include "nri/messages.h"
#include "nri/owners.h"

namespace berth::nri {

// Whose resources, and who sets them.
struct Claimant {
  Owners& owners;
  const std::string& container;
  const std::string& plugin;
};

// Puts over `to` all that `from` sets, after claiming each part of it. Rules
// for devices are added to those that are there, and owned by nobody.
Status MergeResources(const Claimant& who, const api::LinuxResources& from,
                      api::LinuxResources& to);

// The same without claims: both are known to agree.
void OverlayResources(const api::LinuxResources& from, api::LinuxResources& to);

}  // namespace berth::nri

#endif  // NRI_MERGE_RESOURCES_H_
