#include "oci/rdt/resctrl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/mount_table.h"
#include "base/undo.h"

namespace berth::oci {
namespace {

constexpr uint64_t kMaxSchemata = 64 << 10;

std::string ControlOf(const std::string& mount, const IntelRdt& wanted,
                      const std::string& id) {
  if (wanted.clos_id == "/") return mount;
  return mount + "/" + (wanted.clos_id.empty() ? id : wanted.clos_id);
}

std::string MonitoringOf(const std::string& control, const std::string& id) {
  return control + "/mon_groups/" + id;
}

// In the order they are written: the list has the last word.
std::vector<std::string> LinesOf(const IntelRdt& wanted) {
  std::vector<std::string> lines;
  for (const std::string& text :
       {wanted.l3_cache_schema, wanted.mem_bw_schema}) {
    for (const std::string& line : Split(text, '\n')) {
      if (!line.empty()) lines.push_back(line);
    }
  }
  lines.insert(lines.end(), wanted.schemata.begin(), wanted.schemata.end());
  return lines;
}

// One write a line: the kernel names the first that is wrong in its own file.
Status WriteSchemata(const std::string& group, const IntelRdt& wanted) {
  for (const std::string& line : LinesOf(wanted)) {
    ASSIGN_OR_RETURN(const UniqueFd file,
                     OpenFile(group + "/schemata", O_WRONLY));
    RETURN_IF_ERROR_AS(WriteAll(file.get(), line + "\n"),
                       "write " + Quoted(line) + " to " + group + "/schemata");
  }
  return OkStatus();
}

// "  L3:0=ff;1=ff" as "L3:0=ff;1=ff".
std::vector<std::string> LinesIn(const std::string& text) {
  std::vector<std::string> lines;
  for (const std::string& line : Split(text, '\n')) {
    lines.emplace_back(Trim(line));
  }
  return lines;
}

// Others are in there, and are not to get other schemata by us.
Status CheckSchemata(const std::string& group, const IntelRdt& wanted) {
  ASSIGN_OR_RETURN(const std::string text,
                   ReadFile(group + "/schemata", kMaxSchemata));
  const std::vector<std::string> there = LinesIn(text);
  for (const std::string& line : LinesOf(wanted)) {
    if (std::find(there.begin(), there.end(), Trim(line)) == there.end()) {
      return FailedPrecondition("linux.intelRdt: the group " + Quoted(group) +
                                " exists, and has no " + Quoted(line));
    }
  }
  return OkStatus();
}

// True if it was made.
StatusOr<bool> MakeControl(const std::string& group, const IntelRdt& wanted) {
  struct stat st;
  const bool there = stat(group.c_str(), &st) == 0;
  if (there) {
    RETURN_IF_ERROR(CheckSchemata(group, wanted));
    return false;
  }
  if (!wanted.clos_id.empty() && !wanted.has_schemas()) {
    return FailedPrecondition("clos group " + Quoted(group) +
                              " doesn't exist, and linux.intelRdt has no "
                              "schemata for it");
  }
  if (mkdir(group.c_str(), 0755) != 0) {
    return Errno(errno, "make the resctrl group " + Quoted(group));
  }
  return true;
}

Status RemoveGroup(const std::string& group) {
  if (group.empty() || rmdir(group.c_str()) == 0 || errno == ENOENT) {
    return OkStatus();
  }
  return Errno(errno, "remove the resctrl group " + Quoted(group));
}

Status NotMounted(const IntelRdt& wanted) {
  if (!wanted.l3_cache_schema.empty()) {
    return FailedPrecondition(
        "intelRdt.l3CacheSchema is specified in config, but Intel RDT/CAT is "
        "not enabled");
  }
  if (!wanted.mem_bw_schema.empty()) {
    return FailedPrecondition(
        "intelRdt.memBwSchema is specified in config, but Intel RDT/MBA is not "
        "enabled");
  }
  return FailedPrecondition(
      "intelRdt is specified in config, but Intel RDT is not enabled");
}

}  // namespace

std::string ResctrlMount(const std::string& mountinfo) {
  for (const MountEntry& entry : ParseMountTable(mountinfo)) {
    if (entry.type == "resctrl") return entry.point;
  }
  return "";
}

StatusOr<ResctrlGroups> ResctrlGroups::Make(const std::string& mount,
                                            const IntelRdt& wanted,
                                            const std::string& id) {
  if (mount.empty()) return NotMounted(wanted);
  const std::string control = ControlOf(mount, wanted, id);
  ASSIGN_OR_RETURN(const bool made, MakeControl(control, wanted));
  Undo undo;
  ResctrlGroups groups;
  if (made) {
    undo.Add([control] { rmdir(control.c_str()); });
    RETURN_IF_ERROR(WriteSchemata(control, wanted));
    // A group with a name of its own may be shared, and outlives its maker.
    if (wanted.clos_id.empty()) groups.own_control_ = control;
  }
  if (wanted.enable_monitoring) {
    const std::string monitoring = MonitoringOf(control, id);
    if (mkdir(monitoring.c_str(), 0755) != 0) {
      return Errno(errno, "make the resctrl group " + Quoted(monitoring));
    }
    groups.own_monitoring_ = monitoring;
  }
  undo.Commit();
  return groups;
}

Status ResctrlGroups::Remove() const {
  const Status monitoring = RemoveGroup(own_monitoring_);
  const Status control = RemoveGroup(own_control_);
  return monitoring.ok() ? control : monitoring;
}

std::vector<std::string> ResctrlTasks(const std::string& mount,
                                      const IntelRdt& wanted,
                                      const std::string& id) {
  const std::string control = ControlOf(mount, wanted, id);
  std::vector<std::string> files = {control + "/tasks"};
  if (wanted.enable_monitoring) {
    files.push_back(MonitoringOf(control, id) + "/tasks");
  }
  return files;
}

Status UpdateSchemata(const std::string& mount, const IntelRdt& wanted,
                      const std::string& id) {
  if (mount.empty()) {
    // runc's words for this verb.
    return FailedPrecondition(
        wanted.mem_bw_schema.empty()
            ? "Intel RDT/CAT: l3 cache schema is not enabled"
            : "Intel RDT/MBA: memory bandwidth schema is not enabled");
  }
  const std::string control = ControlOf(mount, wanted, id);
  if (access((control + "/schemata").c_str(), F_OK) != 0 && errno == ENOENT) {
    return FailedPrecondition(
        "the container has no resctrl group " + Quoted(control) +
        ": linux.intelRdt of its configuration asks for none");
  }
  return WriteSchemata(control, wanted);
}

}  // namespace berth::oci
