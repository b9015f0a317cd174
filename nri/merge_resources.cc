#include "nri/merge_resources.h"

#include <google/protobuf/message.h>

#include <map>

namespace berth::nri {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Numbers of a message's fields, and what owners know them as.
using Fields = std::map<int, api::Field>;

const Fields& MemoryFields() {
  using M = api::LinuxMemory;
  static const auto& fields =
      *new Fields{{M::kLimitFieldNumber, api::MemLimit},
                  {M::kReservationFieldNumber, api::MemReservation},
                  {M::kSwapFieldNumber, api::MemSwapLimit},
                  {M::kKernelFieldNumber, api::MemKernelLimit},
                  {M::kKernelTcpFieldNumber, api::MemTCPLimit},
                  {M::kSwappinessFieldNumber, api::MemSwappiness},
                  {M::kDisableOomKillerFieldNumber, api::MemDisableOomKiller},
                  {M::kUseHierarchyFieldNumber, api::MemUseHierarchy}};
  return fields;
}

const Fields& CpuFields() {
  using C = api::LinuxCPU;
  static const auto& fields =
      *new Fields{{C::kSharesFieldNumber, api::CPUShares},
                  {C::kQuotaFieldNumber, api::CPUQuota},
                  {C::kPeriodFieldNumber, api::CPUPeriod},
                  {C::kRealtimeRuntimeFieldNumber, api::CPURealtimeRuntime},
                  {C::kRealtimePeriodFieldNumber, api::CPURealtimePeriod},
                  {C::kCpusFieldNumber, api::CPUSetCPUs},
                  {C::kMemsFieldNumber, api::CPUSetMems}};
  return fields;
}

// A message is set if it is there, a text if it is not empty.
Status ClaimSet(const Claimant& who, const Message& from,
                const Fields& fields) {
  for (const auto& [number, field] : fields) {
    const FieldDescriptor* one =
        from.GetDescriptor()->FindFieldByNumber(number);
    if (!from.GetReflection()->HasField(from, one)) continue;
    RETURN_IF_ERROR(who.owners.Claim(who.container, field, who.plugin));
  }
  return OkStatus();
}

Status ClaimAll(const Claimant& who, const api::LinuxResources& from) {
  const auto claim = [&](api::Field field, const std::string& key = "") {
    return who.owners.Claim(who.container, field, who.plugin, key);
  };
  RETURN_IF_ERROR(ClaimSet(who, from.memory(), MemoryFields()));
  RETURN_IF_ERROR(ClaimSet(who, from.cpu(), CpuFields()));
  for (const auto& limit : from.hugepage_limits()) {
    RETURN_IF_ERROR(claim(api::HugepageLimits, limit.page_size()));
  }
  for (const auto& [file, text] : from.unified()) {
    RETURN_IF_ERROR(claim(api::CgroupsUnified, file));
  }
  if (from.has_blockio_class()) RETURN_IF_ERROR(claim(api::BlockioClass));
  if (from.has_rdt_class()) RETURN_IF_ERROR(claim(api::RdtClass));
  if (from.has_pids()) RETURN_IF_ERROR(claim(api::PidsLimit));
  return OkStatus();
}

void SetHugepageLimit(const api::HugepageLimit& limit,
                      api::LinuxResources& to) {
  for (api::HugepageLimit& known : *to.mutable_hugepage_limits()) {
    if (known.page_size() != limit.page_size()) continue;
    known = limit;
    return;
  }
  *to.add_hugepage_limits() = limit;
}

}  // namespace

void OverlayResources(const api::LinuxResources& from,
                      api::LinuxResources& to) {
  for (const auto& limit : from.hugepage_limits()) SetHugepageLimit(limit, to);
  api::LinuxResources rest = from;
  rest.clear_hugepage_limits();
  // What is set replaces what was, entry by entry in maps; a 0 within a wrapper
  // does too, as the wrapper is the newer one's.
  const auto replace = [](const Message& newer, Message& older) {
    for (int i = 0; i < newer.GetDescriptor()->field_count(); ++i) {
      const FieldDescriptor* field = newer.GetDescriptor()->field(i);
      if (newer.GetReflection()->HasField(newer, field)) {
        older.GetReflection()->ClearField(&older, field);
      }
    }
  };
  replace(rest.memory(), *to.mutable_memory());
  replace(rest.cpu(), *to.mutable_cpu());
  if (rest.has_pids()) to.clear_pids();
  if (rest.has_blockio_class()) to.clear_blockio_class();
  if (rest.has_rdt_class()) to.clear_rdt_class();
  to.MergeFrom(rest);
}

Status MergeResources(const Claimant& who, const api::LinuxResources& from,
                      api::LinuxResources& to) {
  RETURN_IF_ERROR(ClaimAll(who, from));
  OverlayResources(from, to);
  return OkStatus();
}

}  // namespace berth::nri
