#ifndef OCI_RDT_RESCTRL_H_
#define OCI_RDT_RESCTRL_H_

#include <string>
#include <vector>

#include "base/status.h"
#include "oci/spec/spec.h"

namespace berth::oci {

// Where the resctrl file system is mounted, by the text of a mountinfo; empty
// if it is not. Pure.
std::string ResctrlMount(const std::string& mountinfo);

// The groups of a container in the resctrl file system: one of control, which
// may be shared, and one of monitoring in it. A value: what has been made, to
// be remembered with the container. Single-threaded.
//
// Source: config-linux.md, "IntelRdt"; resctrl.rst of the kernel.
class ResctrlGroups {
 public:
  ResctrlGroups() = default;
  // Paths of the directories that are the container's own; either may be empty.
  ResctrlGroups(std::string control, std::string monitoring)
      : own_control_(std::move(control)),
        own_monitoring_(std::move(monitoring)) {}

  // Makes and fills them as the container `id` wants it; on failure nothing is
  // left. `mount` is of ResctrlMount. FAILED_PRECONDITION, in runc's words, if
  // that is empty, if a named group is missing and nothing says how to make it,
  // or is there and holds other schemata.
  static StatusOr<ResctrlGroups> Make(const std::string& mount,
                                      const IntelRdt& wanted,
                                      const std::string& id);

  // Those that were made for the container, to be removed with it.
  const std::string& own_control() const { return own_control_; }
  const std::string& own_monitoring() const { return own_monitoring_; }
  // OK for what is gone.
  Status Remove() const;

 private:
  std::string own_control_;
  std::string own_monitoring_;
};

// Files that a process of the container writes "0" to, to be in its groups;
// none without `wanted`.
std::vector<std::string> ResctrlTasks(const std::string& mount,
                                      const IntelRdt& wanted,
                                      const std::string& id);

// Sets schemata of the container's group of control again. Empty ones stay.
Status UpdateSchemata(const std::string& mount, const IntelRdt& wanted,
                      const std::string& id);

}  // namespace berth::oci

#endif  // OCI_RDT_RESCTRL_H_
