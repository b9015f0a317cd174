#include "oci/init/id_map.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/context.h"
#include "base/io/subprocess.h"
#include "base/strings.h"
#include "base/unique_fd.h"
#include "oci/init/procfs.h"

namespace berth::oci {
namespace {

constexpr char kDefaultPath[] = "/usr/local/bin:/usr/bin:/bin";

Status WriteProc(const std::string& path, const std::string& text) {
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenProcfs("/proc", path));
  // The kernel takes the whole map in one write or not at all.
  if (write(fd.get(), text.data(), text.size()) !=
      static_cast<ssize_t>(text.size())) {
    return Errno(errno, "write " + path);
  }
  return OkStatus();
}

// The one line that the kernel takes from anybody.
bool IsOnly(const std::vector<IdMapping>& mappings, uint32_t id) {
  return mappings.size() == 1 && mappings[0].size == 1 &&
         mappings[0].host_id == id;
}

StatusOr<std::string> FindTool(const std::string& name) {
  const char* path = getenv("PATH");
  for (const std::string& folder :
       Split(path != nullptr ? path : kDefaultPath, ':')) {
    const std::string candidate = folder + "/" + name;
    if (StartsWith(folder, "/") && access(candidate.c_str(), X_OK) == 0) {
      return candidate;
    }
  }
  return NotFound("map several ids: no " + name + " in $PATH");
}

Status RunTool(const std::string& name, pid_t pid,
               const std::vector<IdMapping>& mappings) {
  Command command;
  ASSIGN_OR_RETURN(command.program, FindTool(name));
  command.args.push_back(std::to_string(pid));
  for (const IdMapping& m : mappings) {
    for (const uint32_t number : {m.container_id, m.host_id, m.size}) {
      command.args.push_back(std::to_string(number));
    }
  }
  ASSIGN_OR_RETURN_AS(const CommandResult result,
                      RunCommand(Context::Background(), command), name);
  if (result.ok()) return OkStatus();
  return Error(
      StatusCode::kPermissionDenied,
      name + " " + result.Describe() + ": " + std::string(Trim(result.errors)));
}

// `own` is the caller's id, `file` "uid_map".
Status WriteMap(pid_t pid, const std::vector<IdMapping>& mappings, uint32_t own,
                const char* file, const char* tool) {
  const bool root = geteuid() == 0;
  if (!root && !IsOnly(mappings, own)) return RunTool(tool, pid, mappings);
  const Status written =
      WriteProc(std::to_string(pid) + "/" + file, IdMapText(mappings));
  // Root without CAP_SETUID or CAP_SETGID, as in a container.
  const bool refused = root && ErrnoOf(written) == EPERM;
  return refused ? RunTool(tool, pid, mappings) : written;
}

uint32_t RootOf(const std::vector<IdMapping>& mappings) {
  return mappings.empty() || ToHostId(mappings, 0)
             ? 0
             : mappings.front().container_id;
}

}  // namespace

std::string IdMapText(const std::vector<IdMapping>& mappings) {
  std::string text;
  for (const IdMapping& m : mappings) {
    text += std::to_string(m.container_id) + " " + std::to_string(m.host_id) +
            " " + std::to_string(m.size) + "\n";
  }
  return text;
}

std::optional<uint32_t> ToHostId(const std::vector<IdMapping>& mappings,
                                 uint32_t container_id) {
  if (mappings.empty()) return container_id;
  for (const IdMapping& m : mappings) {
    if (container_id >= m.container_id &&
        container_id - m.container_id < m.size) {
      return m.host_id + (container_id - m.container_id);
    }
  }
  return std::nullopt;
}

Status WriteIdMaps(pid_t pid, const std::vector<IdMapping>& uids,
                   const std::vector<IdMapping>& gids) {
  RETURN_IF_ERROR(WriteMap(pid, uids, geteuid(), "uid_map", "newuidmap"));
  if (geteuid() != 0 && IsOnly(gids, getegid())) {
    RETURN_IF_ERROR(WriteProc(std::to_string(pid) + "/setgroups", "deny"));
  }
  return WriteMap(pid, gids, getegid(), "gid_map", "newgidmap");
}

Status BecomeNamespaceRoot(const std::vector<IdMapping>& uids,
                           const std::vector<IdMapping>& gids) {
  const gid_t gid = RootOf(gids);
  const uid_t uid = RootOf(uids);
  if (setresgid(gid, gid, gid) != 0) {
    return Errno(errno, "setgid " + std::to_string(gid) + " in the namespace");
  }
  if (setresuid(uid, uid, uid) != 0) {
    return Errno(errno, "setuid " + std::to_string(uid) + " in the namespace");
  }
  return OkStatus();
}

}  // namespace berth::oci
