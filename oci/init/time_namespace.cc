#include "oci/init/time_namespace.h"

#include <fcntl.h>
#include <sched.h>

#include <string>

#include "base/sys/file.h"
#include "base/sys/namespace.h"

namespace berth::oci {
namespace {

Status SetOffsets(const Linux& linux) {
  if (linux.time_offsets.empty()) return OkStatus();
  std::string lines;
  for (const auto& [clock, offset] : linux.time_offsets) {
    lines += clock + " " + std::to_string(offset.secs) + " " +
             std::to_string(offset.nanosecs) + "\n";
  }
  ASSIGN_OR_RETURN(const UniqueFd file,
                   OpenFile("/proc/self/timens_offsets", O_WRONLY));
  return Annotate(WriteAll(file.get(), lines), "set linux.timeOffsets");
}

}  // namespace

StatusOr<TimeNamespace> TimeNamespace::Make(const Linux& linux) {
  ASSIGN_OR_RETURN(UniqueFd own,
                   OpenNamespace("/proc/self/ns/time", CLONE_NEWTIME));
  RETURN_IF_ERROR_AS(UnshareNamespaces(CLONE_NEWTIME), "new time namespace");
  TimeNamespace made(std::move(own));
  const Status set = SetOffsets(linux);
  if (set.ok()) return made;
  RETURN_IF_ERROR(made.Return());
  return set;
}

Status TimeNamespace::Return() const {
  return Annotate(EnterNamespace(own_.get(), CLONE_NEWTIME),
                  "return to the runtime's time namespace");
}

}  // namespace berth::oci
