#include "oci/init/namespace_plan.h"

#include <sched.h>
#include <unistd.h>

#include "base/sys/namespace.h"

namespace berth::oci {
namespace {

bool IsForeign(const NamespacePlan& plan) {
  if (!plan.has_user() || !plan.pid.valid()) return false;
  return plan.new_user() || !OwnsNamespace(plan.user.get(), plan.pid.get());
}

}  // namespace

bool NamespacePlan::has_user() const {
  return new_user() || user.valid() || in_new_user;
}

bool NamespacePlan::time_by_middle() const { return new_time && by_user; }

bool NamespacePlan::new_user() const { return at_birth & CLONE_NEWUSER; }

bool NamespacePlan::new_network() const { return at_birth & CLONE_NEWNET; }

StatusOr<NamespacePlan> PlanNamespaces(const Linux& spec) {
  NamespacePlan plan;
  for (const NamespaceSpec& wanted : spec.namespaces) {
    const int type = CloneFlag(wanted.type);
    if (wanted.path.empty()) {
      if (wanted.type == NamespaceType::kCgroup) {
        plan.new_cgroup = true;
      } else if (wanted.type == NamespaceType::kTime) {
        plan.new_time = true;
      } else {
        plan.at_birth |= static_cast<unsigned>(type);
      }
      continue;
    }
    ASSIGN_OR_RETURN(UniqueFd fd, OpenNamespace(wanted.path, type));
    if (wanted.type == NamespaceType::kPid) {
      plan.pid = std::move(fd);
    } else if (wanted.type == NamespaceType::kUser) {
      plan.user = std::move(fd);
    } else {
      plan.joins.push_back({type, std::move(fd)});
    }
  }
  plan.pid_first = IsForeign(plan);
  plan.by_user = geteuid() != 0;
  return plan;
}

}  // namespace berth::oci
