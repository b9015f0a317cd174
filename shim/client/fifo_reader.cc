#include "shim/client/fifo_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "base/status.h"
#include "base/sys/file.h"
#include "base/unique_fd.h"

namespace berth::shim {
namespace {

constexpr int kLooks = 500;
constexpr useconds_t kPause = 2000;

// The mode of the link of a descriptor is that of the descriptor: proc(5).
bool Reads(pid_t pid, const struct stat& fifo) {
  const std::string folder = "/proc/" + std::to_string(pid) + "/fd";
  const StatusOr<UniqueFd> fds = OpenFile(folder, O_RDONLY | O_DIRECTORY);
  if (!fds.ok()) return true;  // it has gone
  const StatusOr<std::vector<std::string>> names = ListDirectory(fds->get());
  if (!names.ok()) return true;
  for (const std::string& name : *names) {
    struct stat file {
    }, link{};
    const bool same = fstatat(fds->get(), name.c_str(), &file, 0) == 0 &&
                      file.st_dev == fifo.st_dev && file.st_ino == fifo.st_ino;
    if (!same) continue;
    const int looked =
        fstatat(fds->get(), name.c_str(), &link, AT_SYMLINK_NOFOLLOW);
    if (looked == 0 && (link.st_mode & S_IRUSR) != 0) return true;
  }
  return false;
}

}  // namespace

void AwaitReader(pid_t pid, const std::string& fifo,
                 const std::function<bool()>& over) {
  struct stat file {};
  if (pid <= 0 || stat(fifo.c_str(), &file) != 0) return;
  for (int look = 0; look < kLooks && !Reads(pid, file) && !over(); ++look) {
    usleep(kPause);
  }
}

}  // namespace berth::shim
