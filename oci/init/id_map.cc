#include "oci/init/id_map.h"

#include <errno.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "oci/init/procfs.h"

namespace berth::oci {
namespace {

Status WriteMap(const std::string& path, const std::string& text) {
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenProcfs("/proc", path));
  // The kernel takes the whole map in one write or not at all.
  if (write(fd.get(), text.data(), text.size()) !=
      static_cast<ssize_t>(text.size())) {
    return Errno(errno, "write " + path);
  }
  return OkStatus();
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
  const std::string proc = std::to_string(pid);
  RETURN_IF_ERROR(WriteMap(proc + "/uid_map", IdMapText(uids)));
  return WriteMap(proc + "/gid_map", IdMapText(gids));
}

}  // namespace berth::oci
