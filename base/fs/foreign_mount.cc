#include "base/fs/foreign_mount.h"

#include <errno.h>
#include <sys/mount.h>

#include <string_view>

#include "base/fs/foreign_path.h"
#include "base/fs/path_helper.h"
#include "base/strings.h"
#include "base/sys/mount_options.h"

namespace berth {
namespace {

constexpr Duration kMountLimit = std::chrono::minutes(1);
constexpr Duration kDetachLimit = std::chrono::seconds(10);

// What mount(2) is told.
struct Call {
  const char* source;
  const char* target;
  const char* type;
  unsigned long flags;
  const char* data;
  const unsigned long* propagation;
  size_t propagations;
};

// In the helper, as the rest of its kind.
void MountIt(void* question, void* answer) {
  const Call& call = *static_cast<const Call*>(question);
  int& error = *static_cast<int*>(answer);
  error = mount(call.source, call.target, call.type, call.flags, call.data) == 0
              ? 0
              : errno;
  for (size_t i = 0; error == 0 && i < call.propagations; ++i) {
    if (mount(nullptr, call.target, nullptr, call.propagation[i], nullptr) !=
        0) {
      error = errno;
    }
  }
}

void DetachIt(void* question, void* answer) {
  int& error = *static_cast<int*>(answer);
  while (umount2(static_cast<const char*>(question),
                 MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  // EINVAL: not a mount point (umount(2)).
  error = errno == EINVAL || errno == ENOENT ? 0 : errno;
}

// As MountAt has it.
std::string Doing(const Mount& mount) {
  return "mount " + mount.type + " on " + Quoted(mount.target);
}

// "192.0.2.1:/exports".
std::string ServerOf(const Mount& mount) {
  constexpr std::string_view kAddress = "addr=";
  for (const std::string& option : mount.options) {
    if (!StartsWith(option, kAddress)) continue;
    return option.substr(kAddress.size()) + mount.source;
  }
  return mount.source;
}

}  // namespace

Status MountForeign(const Context& ctx, const Mount& mount) {
  const MountOptions options = ParseMountOptions(mount.options);
  if (options.bind) {
    // Who has just answered will do so again.
    if (StartsWith(mount.source, "/")) {
      RETURN_IF_ERROR_AS(
          InspectPath(ctx, mount.source).status(),
          "mount " + mount.source + " on " + Quoted(mount.target));
    }
    return MountAt(mount);
  }
  if (!IsForeignType(mount.type)) return MountAt(mount);
  const std::string data = MountData(options.data);
  Call call = {mount.source.c_str(),
               mount.target.c_str(),
               mount.type.c_str(),
               MountFlags(options),
               data.c_str(),
               options.propagation.data(),
               options.propagation.size()};
  int error = 0;
  RETURN_IF_ERROR_AS(AskHelper(ctx.WithTimeout(kMountLimit), ServerOf(mount),
                               MountIt, &call, &error, sizeof(error)),
                     Doing(mount));
  if (error == 0) return OkStatus();
  return Annotate(Errno(error, "mount"), Doing(mount));
}

Status DetachForeign(const Context& ctx, const std::string& target) {
  ASSIGN_OR_RETURN(const std::string foreign, ForeignMountOf(target));
  std::string path = target;
  int error = 0;
  if (foreign.empty()) {
    DetachIt(path.data(), &error);
  } else {
    const Status asked =
        AskHelper(ctx.WithTimeout(kDetachLimit), foreign, DetachIt, path.data(),
                  &error, sizeof(error));
    // Who lets go of the last mount of a file system has to end it, on the way
    // back from umount2(2): the path is free by then.
    if (!asked.ok()) {
      ASSIGN_OR_RETURN(const std::string left, ForeignMountOf(target));
      if (left == foreign) return Annotate(asked, "unmount " + Quoted(target));
    }
  }
  if (error == 0) return OkStatus();
  return Errno(error, "unmount " + Quoted(target));
}

}  // namespace berth
