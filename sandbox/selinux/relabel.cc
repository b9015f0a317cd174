#include "sandbox/selinux/relabel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/unique_fd.h"

namespace berth::sandbox {
namespace {

constexpr char kAttribute[] = "security.selinux";
constexpr size_t kMaxLabel = 4096;
// Each level of folders keeps a descriptor open.
constexpr int kMaxDepth = 512;

// Without the slash; home directories of users lie below /home and /root.
constexpr std::string_view kSystems[] = {
    "/",         "/bin",        "/boot",    "/dev",       "/etc",
    "/home",     "/lib",        "/lib64",   "/media",     "/opt",
    "/proc",     "/root",       "/run",     "/sbin",      "/srv",
    "/sys",      "/tmp",        "/usr",     "/var",       "/etc/passwd",
    "/etc/pki",  "/etc/shadow", "/var/lib", "/var/log",   "/var/run",
    "/var/tmp",  "/usr/bin",    "/usr/lib", "/usr/lib64", "/usr/sbin",
    "/usr/share"};

// What a file is, whatever it is called; asks no server of a network.
StatusOr<struct statx> IdentityOf(int dir, const std::string& path) {
  struct statx info {};
  if (statx(dir, path.c_str(),
            AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
            STATX_INO | STATX_TYPE, &info) != 0) {
    return Errno(errno, "statx " + Quoted(path));
  }
  return info;
}

// Also by another name: a bind mount, or one with links in it.
bool IsOfTheSystem(const struct statx& file) {
  return std::any_of(
      std::begin(kSystems), std::end(kSystems), [&](std::string_view path) {
        const auto system = IdentityOf(AT_FDCWD, std::string(path));
        return system.ok() && system->stx_ino == file.stx_ino &&
               system->stx_dev_major == file.stx_dev_major &&
               system->stx_dev_minor == file.stx_dev_minor;
      });
}

bool HasNoLabels(int error) { return error == ENOTSUP || error == ENOSYS; }

// Of a descriptor of any kind, O_PATH too: fsetxattr(2) does not take those.
std::string NameOf(const UniqueFd& file) {
  return "/proc/self/fd/" + std::to_string(file.get());
}

// The label that a file has; empty for none. An errno of HasNoLabels where
// there can be none.
StatusOr<std::string> LabelOf(const UniqueFd& file) {
  std::string label(kMaxLabel, '\0');
  const ssize_t size =
      getxattr(NameOf(file).c_str(), kAttribute, label.data(), label.size());
  if (size < 0 && errno == ENODATA) return std::string();
  if (size < 0) return Errno(errno, "read the SELinux label");
  label.resize(static_cast<size_t>(size));
  // With or without the zero byte that ends it.
  while (!label.empty() && label.back() == '\0') label.pop_back();
  return label;
}

Status Set(const UniqueFd& file, const std::string& label) {
  ASSIGN_OR_RETURN(const std::string now, LabelOf(file));
  if (now == label) return OkStatus();
  if (setxattr(NameOf(file).c_str(), kAttribute, label.c_str(),
               label.size() + 1, 0) != 0) {
    return Errno(errno, "set SELinux label " + Quoted(label));
  }
  return OkStatus();
}

StatusOr<std::vector<std::string>> NamesIn(int folder) {
  ASSIGN_OR_RETURN(UniqueFd again,
                   OpenFileAt(folder, ".", O_RDONLY | O_DIRECTORY));
  const std::unique_ptr<DIR, int (*)(DIR*)> list(fdopendir(again.get()),
                                                 closedir);
  if (list == nullptr) return Errno(errno, "fdopendir");
  again.release();
  std::vector<std::string> names;
  while (const dirent* entry = readdir(list.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  return names;
}

class Walk {
 public:
  Walk(const Context& ctx, const std::string& label)
      : ctx_(ctx), label_(label) {}

  // What is below, then the folder itself.
  Status Folder(const UniqueFd& folder, int depth) {
    if (depth > kMaxDepth) {
      return ResourceExhausted("folders are nested more than " +
                               std::to_string(kMaxDepth) + " deep");
    }
    ASSIGN_OR_RETURN(const std::vector<std::string> names,
                     NamesIn(folder.get()));
    for (const std::string& name : names) {
      RETURN_IF_ERROR(ctx_.Check());
      RETURN_IF_ERROR_AS(Entry(folder, name, depth), Quoted(name));
    }
    return Set(folder, label_);
  }

 private:
  Status Entry(const UniqueFd& folder, const std::string& name, int depth) {
    constexpr uint64_t kInside =
        RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
    const StatusOr<UniqueFd> file =
        OpenBeneath(folder.get(), name, O_PATH | O_NOFOLLOW, kInside);
    // Removed meanwhile, or something is mounted there.
    if (ErrnoOf(file.status()) == ENOENT || ErrnoOf(file.status()) == EXDEV) {
      return OkStatus();
    }
    RETURN_IF_ERROR(file.status());
    ASSIGN_OR_RETURN(const struct stat info, StatFd(file->get()));
    if (!S_ISDIR(info.st_mode)) return Set(*file, label_);
    return Folder(*file, depth + 1);
  }

  const Context& ctx_;
  const std::string& label_;
};

}  // namespace

Status SetLabel(const std::string& path, const std::string& label) {
  if (label.empty()) return OkStatus();
  ASSIGN_OR_RETURN(const UniqueFd file, OpenFile(path, O_PATH | O_NOFOLLOW));
  const Status set = Set(file, label);
  return HasNoLabels(ErrnoOf(set)) ? OkStatus() : Annotate(set, Quoted(path));
}

Status Relabel(const Context& ctx, const std::string& path,
               const std::string& label) {
  if (label.empty()) return OkStatus();
  const std::string what = "relabel " + Quoted(path);
  ASSIGN_OR_RETURN_AS(
      const UniqueFd top,
      OpenBeneath(AT_FDCWD, path, O_PATH | O_NOFOLLOW, RESOLVE_NO_SYMLINKS),
      what);
  ASSIGN_OR_RETURN_AS(const struct statx info, IdentityOf(top.get(), ""), what);
  if (IsOfTheSystem(info)) {
    return InvalidArgument(what + ": a folder of the system");
  }
  const StatusOr<std::string> now = LabelOf(top);
  if (HasNoLabels(ErrnoOf(now.status()))) return OkStatus();
  RETURN_IF_ERROR_AS(now.status(), Quoted(path));
  if (*now == label) return OkStatus();
  const Status done = S_ISDIR(info.stx_mode) ? Walk(ctx, label).Folder(top, 0)
                                             : Set(top, label);
  return Annotate(done, what);
}

}  // namespace berth::sandbox
