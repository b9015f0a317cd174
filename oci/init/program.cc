#include "oci/init/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <optional>
#include <string_view>
#include <unordered_set>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/user.h"

namespace berth::oci {
namespace {

constexpr char kDefaultPath[] =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::optional<std::string> ValueOf(const std::vector<std::string>& env,
                                   const std::string& name) {
  std::optional<std::string> value;
  for (const std::string& entry : env) {
    if (StartsWith(entry, name + "=")) value = entry.substr(name.size() + 1);
  }
  return value;
}

std::string HomeOf(uid_t uid, const RootedPath& root) {
  // O_NONBLOCK: the image may have put a fifo there.
  const auto fd = root.Open("/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!fd.ok()) return "/";
  const auto st = StatFd(fd->get());
  if (!st.ok() || !S_ISREG(st->st_mode)) return "/";
  const auto text = ReadAll(fd->get(), kMaxUserFileBytes, "/etc/passwd");
  if (!text.ok()) return "/";
  const auto user = FindUser(*text, uid);
  return user && !user->home.empty() ? user->home : "/";
}

// 0, or why it cannot be executed.
int Executable(const std::string& path) {
  struct stat st;
  if (stat(path.c_str(), &st) != 0) return errno;
  if (S_ISDIR(st.st_mode)) return EISDIR;
  if (!S_ISREG(st.st_mode)) return EACCES;
  return faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& s : strings) {
    pointers.push_back(const_cast<char*>(s.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

// Outside the root the kernel says "(unreachable)/..." (getcwd(2)); the raw
// call, since the C library turns that into ENOENT or a guess.
Status CheckInsideRoot(const std::string& directory) {
  char text[PATH_MAX + 1];
  const long n = syscall(SYS_getcwd, text, sizeof(text));
  if (n < 0) return Errno(errno, "getcwd in " + Quoted(directory));
  if (text[0] != '/') {
    return FailedPrecondition("process.cwd " + Quoted(directory) +
                              ": outside the container's root");
  }
  return OkStatus();
}

}  // namespace

std::vector<std::string> FinalEnvironment(const ProcessSpec& process,
                                          const RootedPath& root) {
  std::vector<std::string> env;
  std::unordered_set<std::string> names;  // there may be thousands
  for (auto entry = process.env.rbegin(); entry != process.env.rend();
       ++entry) {
    if (*entry == "HOME=") continue;
    const bool last = names.insert(entry->substr(0, entry->find('='))).second;
    if (last) env.push_back(*entry);
  }
  std::vector<std::string> ordered(env.rbegin(), env.rend());
  if (!ValueOf(ordered, "HOME")) {
    ordered.push_back("HOME=" + HomeOf(process.user.uid, root));
  }
  return ordered;
}

StatusOr<std::string> FindProgram(const std::string& name,
                                  const std::vector<std::string>& env) {
  const std::string doing = "exec: " + Quoted(name);
  if (name.find('/') != std::string::npos) {
    const int error = Executable(name);
    if (error == 0) return name;
    struct stat st;
    if (error == EACCES && stat(name.c_str(), &st) == 0) {
      return Error(StatusCode::kPermissionDenied,
                   doing + ": permission denied");
    }
    if (error == EISDIR) {
      return Error(StatusCode::kPermissionDenied,
                   doing + ": is a directory: permission denied");
    }
    std::string reason = Message(Errno(error, ""));
    return Error(Errno(error, "").code(),
                 doing + ": stat " + name + Lower(reason));
  }
  bool denied = false;
  const std::string path = ValueOf(env, "PATH").value_or(kDefaultPath);
  for (const std::string& directory : Split(path, ':')) {
    const std::string candidate =
        (directory.empty() ? "." : directory) + "/" + name;
    const int error = name.empty() ? ENOENT : Executable(candidate);
    if (error == 0) return candidate;
    denied |= error == EACCES;
  }
  if (denied) {
    return Error(StatusCode::kPermissionDenied, doing + ": permission denied");
  }
  return NotFound(doing + ": executable file not found in $PATH");
}

Status EnterDirectory(const std::string& directory, const RootedPath& root) {
  ASSIGN_OR_RETURN_AS(const UniqueFd fd,
                      root.Open(directory, O_PATH | O_DIRECTORY),
                      "chdir to process.cwd");
  if (fchdir(fd.get()) != 0) {
    return Errno(errno, "chdir to process.cwd " + Quoted(directory));
  }
  return CheckInsideRoot(directory);
}

Execution::Execution(const std::string& path,
                     const std::vector<std::string>& args,
                     const std::vector<std::string>& env)
    : path_(path), args_(Pointers(args)), env_(Pointers(env)) {}

Status Execution::Run() const {
  execve(path_.c_str(), args_.data(), env_.data());
  const int error = errno;
  const Status status = Errno(error, "");
  return Error(status.code(), "exec " + Quoted(path_) + Lower(Message(status)));
}

}  // namespace berth::oci
