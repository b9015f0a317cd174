#include "shim/client/foreign_bundles.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "base/clock.h"
#include "base/fs/atomic_file.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/mount.h"
#include "base/unique_fd.h"
#include "shim/client/shim_command.h"

namespace berth::shim {
namespace {

constexpr uint64_t kMaxPath = 4096;
constexpr Duration kCleanUpTime = std::chrono::seconds(60);
// What a shim may take to make a container. Less than recovery waits for one.
constexpr Duration kCreateTime = std::chrono::seconds(5);

std::string FolderOf(const SandboxShim& foreign) {
  return foreign.state_dir + "/bundles";
}

}  // namespace

Status NoteForeignBundle(const SandboxShim& foreign, const std::string& id,
                         const std::string& bundle) {
  if (id.empty() || id.find('/') != std::string::npos || id[0] == '.') {
    return InvalidArgument("not an id: " + Quoted(id));
  }
  RETURN_IF_ERROR(MakeDirectories(FolderOf(foreign), 0700));
  return ReplaceFile(FolderOf(foreign) + "/" + id, bundle, 0600);
}

bool IsNotedLately(const SandboxShim& foreign, const std::string& id) {
  struct stat note {};
  const std::string path = FolderOf(foreign) + "/" + id;
  if (stat(path.c_str(), &note) != 0) return false;
  const Duration age(
      Now() - (note.st_mtim.tv_sec * 1'000'000'000 + note.st_mtim.tv_nsec));
  // The clock may have been set back.
  return age > -kCreateTime && age < kCreateTime;
}

void ForgetForeignBundle(const SandboxShim& foreign, const std::string& id) {
  unlink((FolderOf(foreign) + "/" + id).c_str());
}

Status CleanUpForeign(const Context& ctx, const SandboxShim& foreign,
                      const std::string& id) {
  const StatusOr<std::string> bundle =
      ReadFile(FolderOf(foreign) + "/" + id, kMaxPath);
  if (!bundle.ok()) return IgnoreNotFound(bundle.status());
  if (access(bundle->c_str(), F_OK) == 0) {
    RETURN_IF_ERROR(
        RunShim(ctx, foreign, {id, *bundle, "delete", kCleanUpTime}).status());
    while (Unmount(*bundle + "/rootfs", MNT_DETACH | UMOUNT_NOFOLLOW).ok()) {
    }
  }
  ForgetForeignBundle(foreign, id);
  return OkStatus();
}

Status CleanUpForeign(const Context& ctx, const SandboxShim& foreign) {
  const StatusOr<UniqueFd> folder =
      OpenFile(FolderOf(foreign), O_RDONLY | O_DIRECTORY);
  if (!folder.ok()) return IgnoreNotFound(folder.status());
  ASSIGN_OR_RETURN(const std::vector<std::string> ids,
                   ListDirectory(folder->get()));
  for (const std::string& id : ids) {
    if (id[0] == '.') {  // half a note, of a daemon that was killed
      unlinkat(folder->get(), id.c_str(), 0);
      continue;
    }
    RETURN_IF_ERROR(CleanUpForeign(ctx, foreign, id));
  }
  return OkStatus();
}

}  // namespace berth::shim
