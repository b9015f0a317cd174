#ifndef OCI_INIT_TIME_NAMESPACE_H_
#define OCI_INIT_TIME_NAMESPACE_H_

#include "base/status.h"
#include "base/unique_fd.h"
#include "oci/spec/spec.h"

namespace berth::oci {

// From Make to Return, children of the caller are born in a new time namespace.
// Source: time_namespaces(7). Single-threaded, and only in a process with one
// thread.
class TimeNamespace {
 public:
  // Offsets are those of linux.timeOffsets.
  static StatusOr<TimeNamespace> Make(const Linux& linux);

  // Children are born in the caller's own again. If that fails, the caller must
  // make none any more.
  Status Return() const;

 private:
  explicit TimeNamespace(UniqueFd own) : own_(std::move(own)) {}

  UniqueFd own_;
};

}  // namespace berth::oci

#endif  // OCI_INIT_TIME_NAMESPACE_H_
