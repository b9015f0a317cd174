#include "oci/spec/serialize_parts.h"

namespace berth::oci {
namespace {

// 0 is what a missing member means.
template <typename T>
void Number(JsonWriter& writer, const char* name, T number) {
  if (number != 0) writer.Always(name, number);
}

void WriteScheduler(JsonWriter& writer, const Scheduler& scheduler) {
  writer.BeginObject();
  writer.Member("policy", scheduler.policy);
  Number(writer, "nice", scheduler.nice);
  Number(writer, "priority", scheduler.priority);
  writer.Member("flags", scheduler.flags);
  Number(writer, "runtime", scheduler.runtime);
  Number(writer, "deadline", scheduler.deadline);
  Number(writer, "period", scheduler.period);
  writer.EndObject();
}

}  // namespace

void WriteScheduling(JsonWriter& writer, const ProcessSpec& process) {
  if (process.scheduler.has_value()) {
    writer.Key("scheduler");
    WriteScheduler(writer, *process.scheduler);
  }
  if (process.io_priority.has_value()) {
    writer.Key("ioPriority");
    writer.BeginObject();
    writer.Member("class", process.io_priority->io_class);
    writer.Always("priority", process.io_priority->priority);
    writer.EndObject();
  }
  if (process.exec_cpu_affinity.has_value()) {
    writer.Key("execCPUAffinity");
    writer.BeginObject();
    writer.Member("initial", process.exec_cpu_affinity->initial);
    writer.Member("final", process.exec_cpu_affinity->final);
    writer.EndObject();
  }
}

void WriteMemoryPolicy(JsonWriter& writer, const Linux& linux) {
  if (!linux.memory_policy.has_value()) return;
  writer.Key("memoryPolicy");
  writer.BeginObject();
  writer.Member("mode", linux.memory_policy->mode);
  writer.Member("nodes", linux.memory_policy->nodes);
  writer.Member("flags", linux.memory_policy->flags);
  writer.EndObject();
}

}  // namespace berth::oci
