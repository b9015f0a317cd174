#include "oci/init/time_namespace.h"

#include <fcntl.h>
#include <sched.h>

#include <string>

#include "base/sys/file.h"
#include "base/sys/namespace.h"

namespace berth::oci {

StatusOr<TimeNamespace> TimeNamespace::Make(const Linux& linux) {
  ASSIGN_OR_RETURN(UniqueFd own,
                   OpenNamespace("/proc/self/ns/time", CLONE_NEWTIME));
  RETURN_IF_ERROR_AS(UnshareNamespaces(CLONE_NEWTIME), "new time namespace");
  TimeNamespace made(std::move(own));
  if (linux.time_offsets.empty()) return made;
  std::string lines;
  for (const auto& [clock, offset] : linux.time_offsets) {
    lines += clock + " " + std::to_string(offset.secs) + " " +
             std::to_string(offset.nanosecs) + "\n";
  }
  ASSIGN_OR_RETURN(const UniqueFd file,
                   OpenFile("/proc/self/timens_offsets", O_WRONLY));
  RETURN_IF_ERROR_AS(WriteAll(file.get(), lines), "set linux.timeOffsets");
  return made;
}

TimeNamespace::~TimeNamespace() {
  // Moved from, or never anywhere else: the caller itself stayed where it was.
  if (own_.valid()) (void)EnterNamespace(own_.get(), CLONE_NEWTIME).ok();
}

}  // namespace berth::oci
