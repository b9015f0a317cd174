#include "docker/convert/update_request.h"

#include <map>
#include <string>
#include <vector>

#include "base/strings.h"
#include "docker/convert/create_request.h"

namespace berth::docker {
namespace {

constexpr const char* kChangeable[] = {"BlkioDeviceReadBps",
                                       "BlkioDeviceReadIOps",
                                       "BlkioDeviceWriteBps",
                                       "BlkioDeviceWriteIOps",
                                       "BlkioWeightDevice",
                                       "CpuPeriod",
                                       "CpuQuota",
                                       "CpuRealtimePeriod",
                                       "CpuShares",
                                       "CpuRealtimeRuntime",
                                       "CpusetCpus",
                                       "CpusetMems",
                                       "Memory",
                                       "MemoryReservation",
                                       "MemorySwap",
                                       "NanoCpus",
                                       "PidsLimit",
                                       "RestartPolicy"};
// Members of Resources that stay as they were made.
constexpr const char* kFixed[] = {"BlkioWeight",       "CgroupParent",
                                  "CpuCount",          "CpuPercent",
                                  "DeviceCgroupRules", "DeviceRequests",
                                  "Devices",           "IOMaximumBandwidth",
                                  "IOMaximumIOps",     "KernelMemory",
                                  "KernelMemoryTCP",   "MemorySwappiness",
                                  "OomKillDisable",    "Ulimits"};

// The members that can be changed, null ones apart, under their right names.
StatusOr<Json> KnownMembers(const Json& body) {
  static const auto& names = *new std::map<std::string, std::string>([] {
    std::map<std::string, std::string> all;
    for (const char* name : kChangeable) all[Lower(name)] = name;
    return all;
  }());
  static const auto& fixed = *new std::map<std::string, std::string>([] {
    std::map<std::string, std::string> all;
    for (const char* name : kFixed) all[Lower(name)] = name;
    return all;
  }());
  Json members = Json::object();
  for (const auto& [name, value] : body.members()) {
    if (value.is_null()) continue;
    if (const auto found = names.find(Lower(name)); found != names.end()) {
      // The records have no word for rates that are taken away.
      if (StartsWith(found->second, "Blkio") && value.is_array() &&
          value.empty()) {
        return Unimplemented("update of " + found->second +
                             " to none is not supported");
      }
      members[found->second] = value;
    } else if (const auto kept = fixed.find(Lower(name));
               kept != fixed.end() && !IsUnset(value)) {
      return Unimplemented("update of " + kept->second + " is not supported");
    }
  }
  return members;
}

}  // namespace

StatusOr<UpdateRequest> ConvertUpdate(const Json& body,
                                      const state::v1::Resources& now) {
  UpdateRequest update;
  // Those of them that say nothing are read for their types alone.
  ASSIGN_OR_RETURN(Json host, KnownMembers(body));
  for (const auto& [name, value] : host.members()) {
    if (!IsUnset(value)) update.host_config[name] = value;
  }
  const bool has_swap = update.host_config.Find("MemorySwap") != nullptr;
  if (has_swap && update.host_config.Find("Memory") == nullptr &&
      now.memory_limit() > 0) {
    host["Memory"] = now.memory_limit();
  }
  CreateRequest request;
  RETURN_IF_ERROR(ConvertHostConfig(host, request));
  update.limits = request.container.resources();
  if (!has_swap) {
    update.limits.clear_memory_swap_limit();
    if (now.memory_swap_limit() > 0 &&
        update.limits.memory_limit() > now.memory_swap_limit()) {
      return InvalidArgument(
          "Memory limit should be smaller than already set memoryswap limit, "
          "update the memoryswap at the same time");
    }
  }
  const Json* const pids = host.Find("PidsLimit");
  if (pids != nullptr && pids->AsInt().value_or(0) < 0) {
    update.limits.set_pids_limit(-1);
  }
  update.has_limits = update.limits.ByteSizeLong() > 0;
  return update;
}

}  // namespace berth::docker
