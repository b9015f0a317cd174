// The mounts of a process, as /proc/PID/mountinfo lists them.
#ifndef BASE_SYS_MOUNT_TABLE_H_
#define BASE_SYS_MOUNT_TABLE_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth {

// One line: "ID PARENT DEVICE ROOT POINT OPTIONS [TAGS...] - TYPE SOURCE
// OPTIONS". White space in names is written there as "\040" and its like; it
// is itself here. Source: proc_pid_mountinfo(5).
struct MountEntry {
  std::string root;               // directory of the file system
  std::string point;              // where
  std::vector<std::string> tags;  // "shared:1", "master:2"
  std::string type;
  std::string source;   // as it was given, or ""
  std::string options;  // of the file system, not of the mount

  bool operator==(const MountEntry&) const = default;
};

// Nothing if the line is not of that form.
std::optional<MountEntry> ParseMountEntry(std::string_view line);

// In the order of the list: of two entries with one point, the later one lies
// over the earlier. Lines of another form are left out.
std::vector<MountEntry> ParseMountTable(std::string_view text);

}  // namespace berth

#endif  // BASE_SYS_MOUNT_TABLE_H_
