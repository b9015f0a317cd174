#include <string>

#include "oci/spec/parse_parts.h"

namespace berth::oci {

StatusOr<Scheduler> SchedulerFromJson(const Json& json,
                                      const std::string& path) {
  JsonReader reader(json, path);
  Scheduler scheduler;
  reader.Get("policy", scheduler.policy);
  reader.Get("nice", scheduler.nice);
  reader.Get("priority", scheduler.priority);
  reader.Get("flags", scheduler.flags);
  reader.Get("runtime", scheduler.runtime);
  reader.Get("deadline", scheduler.deadline);
  reader.Get("period", scheduler.period);
  RETURN_IF_ERROR(reader.status());
  return scheduler;
}

StatusOr<IoPriority> IoPriorityFromJson(const Json& json,
                                        const std::string& path) {
  JsonReader reader(json, path);
  IoPriority priority;
  reader.Get("class", priority.io_class);
  reader.Get("priority", priority.priority);
  RETURN_IF_ERROR(reader.status());
  return priority;
}

StatusOr<CpuAffinity> CpuAffinityFromJson(const Json& json,
                                          const std::string& path) {
  JsonReader reader(json, path);
  CpuAffinity affinity;
  reader.Get("initial", affinity.initial);
  reader.Get("final", affinity.final);
  RETURN_IF_ERROR(reader.status());
  return affinity;
}

StatusOr<MemoryPolicy> MemoryPolicyFromJson(const Json& json,
                                            const std::string& path) {
  JsonReader reader(json, path);
  MemoryPolicy policy;
  reader.Get("mode", policy.mode);
  reader.Get("nodes", policy.nodes);
  reader.Get("flags", policy.flags);
  RETURN_IF_ERROR(reader.status());
  return policy;
}

}  // namespace berth::oci
