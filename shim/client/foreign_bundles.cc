#include "shim/client/foreign_bundles.h"

#include <fcntl.h>
#include <unistd.h>

#include <vector>

#include "base/fs/atomic_file.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/unique_fd.h"

namespace berth::shim {
namespace {

constexpr uint64_t kMaxPath = 4096;

std::string FolderOf(const SandboxShim& sandbox) {
  return sandbox.state_dir + "/foreign";
}

}  // namespace

Status NoteForeignBundle(const SandboxShim& sandbox, const std::string& id,
                         const std::string& bundle) {
  if (id.empty() || id.find('/') != std::string::npos || id[0] == '.') {
    return InvalidArgument("not an id: " + Quoted(id));
  }
  RETURN_IF_ERROR(MakeDirectories(FolderOf(sandbox), 0700));
  return ReplaceFile(FolderOf(sandbox) + "/" + id, bundle, 0600);
}

void ForgetForeignBundle(const SandboxShim& sandbox, const std::string& id) {
  unlink((FolderOf(sandbox) + "/" + id).c_str());
}

std::map<std::string, std::string> ForeignBundles(const SandboxShim& sandbox) {
  std::map<std::string, std::string> bundles;
  const StatusOr<UniqueFd> folder =
      OpenFile(FolderOf(sandbox), O_RDONLY | O_DIRECTORY);
  if (!folder.ok()) return bundles;
  const StatusOr<std::vector<std::string>> names = ListDirectory(folder->get());
  if (!names.ok()) return bundles;
  for (const std::string& id : *names) {
    const StatusOr<std::string> bundle =
        ReadFile(FolderOf(sandbox) + "/" + id, kMaxPath);
    if (bundle.ok() && access(bundle->c_str(), F_OK) == 0) {
      bundles[id] = *bundle;
    }
  }
  return bundles;
}

}  // namespace berth::shim
