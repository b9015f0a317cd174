#include "oci/cgroup/cgroup_host.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/mount_table.h"

namespace berth::oci {
namespace {

// A node with thousands of mounts has a mountinfo of some hundred KiB.
constexpr uint64_t kMaxProcFile = 16 << 20;

// A line of mountinfo, if it is a hierarchy's: own_path holds its root.
std::optional<CgroupHierarchy> HierarchyOf(const std::string& line) {
  // Few lines are worth taking apart.
  if (line.find(" - cgroup") == std::string::npos) return std::nullopt;
  const auto mount = ParseMountEntry(line);
  if (!mount) return std::nullopt;

  CgroupHierarchy hierarchy;
  hierarchy.own_path = mount->root;
  hierarchy.mount_point = mount->point;
  if (mount->type == "cgroup2") {
    hierarchy.v2 = true;
    return hierarchy;
  }
  if (mount->type != "cgroup") return std::nullopt;
  for (const std::string& option : Split(mount->options, ',')) {
    // The others are flags: rw, xattr, clone_children, release_agent=...
    if (option == "rw" || option == "ro" || option == "xattr" ||
        option == "noprefix" || option == "clone_children" ||
        StartsWith(option, "release_agent=")) {
      continue;
    }
    hierarchy.controllers.push_back(option);
  }
  return hierarchy;
}

// "4:memory:/a" -> our path in the hierarchy that holds `controller`.
std::string OwnPath(const std::vector<std::string>& lines,
                    const CgroupHierarchy& hierarchy) {
  for (const std::string& line : lines) {
    const size_t first = line.find(':');
    if (first == std::string::npos) continue;
    const size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = line.substr(first + 1, second - first - 1);
    const bool ours =
        hierarchy.v2
            ? names.empty()
            : std::any_of(hierarchy.controllers.begin(),
                          hierarchy.controllers.end(), [&](const auto& name) {
                            const auto listed = Split(names, ',');
                            return std::find(listed.begin(), listed.end(),
                                             name) != listed.end();
                          });
    if (ours) return line.substr(second + 1);
  }
  return "/";
}

// `path` is relative to the hierarchy's root, of which the mount may show a
// part only (a container's view without a cgroup namespace).
std::string BelowMount(const std::string& root, const std::string& path) {
  if (root == "/" || root.empty()) return path;
  if (path == root) return "/";
  if (StartsWith(path, root + "/")) return path.substr(root.size());
  return path;
}

// One that decides what a container may use up.
bool IsLimit(const std::string& controller) {
  return controller == "cpu" || controller == "memory" || controller == "pids";
}

bool HasLimits(const CgroupHierarchy& hierarchy) {
  return std::any_of(hierarchy.controllers.begin(), hierarchy.controllers.end(),
                     IsLimit);
}

// What the root of the v2 tree offers.
std::vector<std::string> Offered(const CgroupHierarchy& tree) {
  const auto offered =
      ReadFile(tree.mount_point + "/cgroup.controllers", kMaxProcFile);
  return offered.ok() ? Split(std::string(Trim(*offered)), ' ')
                      : std::vector<std::string>();
}

}  // namespace

StatusOr<CgroupHost> CgroupHost::Detect(const std::string& proc) {
  ASSIGN_OR_RETURN(const std::string mounts,
                   ReadFile(proc + "/mountinfo", kMaxProcFile));
  ASSIGN_OR_RETURN(const std::string own,
                   ReadFile(proc + "/cgroup", kMaxProcFile));
  const std::vector<std::string> own_lines = Split(own, '\n');
  CgroupHost host;
  bool any_v1_controller = false;
  for (const std::string& line : Split(mounts, '\n')) {
    auto hierarchy = HierarchyOf(line);
    if (!hierarchy.has_value()) continue;
    const bool seen = std::any_of(
        host.hierarchies.begin(), host.hierarchies.end(), [&](const auto& h) {
          return h.v2 == hierarchy->v2 &&
                 h.controllers == hierarchy->controllers;
        });
    if (seen) continue;
    hierarchy->own_path =
        BelowMount(hierarchy->own_path, OwnPath(own_lines, *hierarchy));
    for (const std::string& name : hierarchy->controllers) {
      any_v1_controller |= !StartsWith(name, "name=");
    }
    host.hierarchies.push_back(*std::move(hierarchy));
  }
  if (host.hierarchies.empty()) {
    return FailedPrecondition("no cgroup hierarchy is mounted");
  }
  // A v1 hierarchy without limits (net_cls, perf_event) beside a v2 tree that
  // has them is somebody's own, and changes nothing. The little that a hybrid
  // machine's v2 tree may offer is not used.
  const bool v1_limits =
      std::any_of(host.hierarchies.begin(), host.hierarchies.end(), HasLimits);
  host.version = any_v1_controller ? CgroupVersion::kV1 : CgroupVersion::kV2;
  if (v1_limits) return host;
  for (CgroupHierarchy& hierarchy : host.hierarchies) {
    if (!hierarchy.v2) continue;
    std::vector<std::string> offered = Offered(hierarchy);
    if (any_v1_controller &&
        std::none_of(offered.begin(), offered.end(), IsLimit)) {
      continue;
    }
    host.version = CgroupVersion::kV2;
    hierarchy.controllers = std::move(offered);
  }
  return host;
}

StatusOr<const CgroupHost*> CgroupHost::Own() {
  static std::atomic<const CgroupHost*> known = nullptr;
  const CgroupHost* own = known.load();
  if (own != nullptr) return own;
  ASSIGN_OR_RETURN(CgroupHost host, Detect());
  auto found = std::make_unique<const CgroupHost>(std::move(host));
  // Another thread may have been faster.
  if (known.compare_exchange_strong(own, found.get())) own = found.release();
  return own;
}

std::optional<std::string> CgroupHost::Delegated() const {
  if (version != CgroupVersion::kV2) return std::nullopt;
  for (const CgroupHierarchy& hierarchy : hierarchies) {
    if (!hierarchy.v2) continue;
    const std::string& own = hierarchy.own_path;
    for (const std::string& path : {own.substr(0, own.rfind('/')), own}) {
      const std::string directory = hierarchy.mount_point + path;
      const std::string procs = directory + "/cgroup.procs";
      if (access(directory.c_str(), W_OK) == 0 &&
          access(procs.c_str(), W_OK) == 0) {
        return path == "/" ? "" : path;
      }
    }
  }
  return std::nullopt;
}

const CgroupHierarchy* CgroupHost::Find(std::string_view controller) const {
  for (const CgroupHierarchy& hierarchy : hierarchies) {
    if (hierarchy.v2 != (version == CgroupVersion::kV2)) continue;
    const auto& names = hierarchy.controllers;
    if (std::find(names.begin(), names.end(), controller) != names.end()) {
      return &hierarchy;
    }
  }
  return nullptr;
}

}  // namespace berth::oci
