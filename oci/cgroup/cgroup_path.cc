#include "oci/cgroup/cgroup_path.h"

#include <string_view>
#include <utility>
#include <vector>

#include "base/strings.h"

namespace berth::oci {
namespace {

constexpr std::string_view kSlice = ".slice";
constexpr size_t kMaxUnitName = 255;  // systemd's UNIT_NAME_MAX

// systemd.unit(5).
Status CheckUnit(const std::string& unit) {
  bool good = unit.size() <= kMaxUnitName;
  for (const char c : unit) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9');
    good &=
        letter || std::string_view(":-_.\\@").find(c) != std::string_view::npos;
  }
  if (good) return OkStatus();
  return InvalidArgument(Quoted(unit) + " is no name of a systemd unit");
}

// The directory of a unit: what the kernel might take for a file of its own
// gets a "_" in front (systemd's cg_escape).
std::string DirectoryOf(const std::string& unit) {
  return unit[0] == '_' || unit[0] == '.' ? "_" + unit : unit;
}

StatusOr<std::string> ScopePath(const std::string& cgroups_path) {
  const std::vector<std::string> parts = Split(cgroups_path, ':');
  const std::string& slice = parts[0];
  const std::string& name = parts[2];
  if (name.empty() || EndsWith(name, kSlice)) {
    return InvalidArgument(Quoted(cgroups_path) + " names no scope");
  }
  const std::string unit =
      (parts[1].empty() ? name : parts[1] + "-" + name) + ".scope";
  RETURN_IF_ERROR(CheckUnit(unit));
  ASSIGN_OR_RETURN(const std::string parent,
                   SlicePath(slice.empty() ? "system.slice" : slice));
  return parent + "/" + DirectoryOf(unit);
}

StatusOr<std::string> CleanPath(const std::string& path) {
  std::vector<std::string> kept;
  for (std::string& part : Split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      kept.push_back(std::move(part));
    } else if (!kept.empty()) {
      kept.pop_back();
    }
  }
  if (kept.empty())
    return InvalidArgument(Quoted(path) + " is the root cgroup");
  return "/" + Join(kept, "/");
}

}  // namespace

bool IsScopePath(const std::string& cgroups_path) {
  return cgroups_path.find('/') == std::string::npos &&
         Split(cgroups_path, ':').size() == 3;
}

StatusOr<std::string> SlicePath(const std::string& slice) {
  const Status wrong =
      InvalidArgument(Quoted(slice) + " is no name of a slice");
  if (!EndsWith(slice, kSlice) || !CheckUnit(slice).ok()) return wrong;
  const std::string stem = slice.substr(0, slice.size() - kSlice.size());
  if (stem == "-") return std::string();
  std::string path;
  std::string name;
  for (const std::string& part : Split(stem, '-')) {
    if (part.empty()) return wrong;
    name += (name.empty() ? "" : "-") + part;
    path += "/" + DirectoryOf(name + std::string(kSlice));
  }
  return path.empty() ? wrong : StatusOr<std::string>(path);
}

StatusOr<std::string> CgroupPath(const std::string& cgroups_path,
                                 const std::string& id) {
  const std::string& wanted = cgroups_path.empty() ? id : cgroups_path;
  if (wanted.find('\0') != std::string::npos) {
    return InvalidArgument("linux.cgroupsPath holds a NUL character");
  }
  StatusOr<std::string> path =
      IsScopePath(wanted) ? ScopePath(wanted) : CleanPath(wanted);
  RETURN_IF_ERROR_AS(path.status(), "linux.cgroupsPath");
  return path;
}

StatusOr<std::string> CgroupsPathFor(bool systemd,
                                     const std::string& cgroups_path,
                                     const std::string& id) {
  if (systemd && cgroups_path.empty()) return "system.slice:berth:" + id;
  if (systemd == IsScopePath(cgroups_path)) return cgroups_path;
  if (systemd) {
    // runc's words, which its callers know.
    return InvalidArgument(
        "expected cgroupsPath to be of format \"slice:prefix:name\" for "
        "systemd cgroups, got " +
        Quoted(cgroups_path) + " instead");
  }
  return InvalidArgument("linux.cgroupsPath " + Quoted(cgroups_path) +
                         " is a systemd scope, and the driver is cgroupfs");
}

}  // namespace berth::oci
