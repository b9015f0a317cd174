#include "admin/health.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "base/status.h"
#include "base/sys/socket.h"

namespace berth::admin {
namespace {

// The store takes that much at once when its file has to grow
// (base/store/database.cc).
constexpr uint64_t kLeastRoom = 1 << 20;

// A connection that is closed at once. A socket whose file was removed, or
// which another process has taken, serves nobody; neither does one whose queue
// is full.
Status Call(const std::string& socket) {
  ASSIGN_OR_RETURN(const UniqueFd connection, ConnectUnix(socket));
  ASSIGN_OR_RETURN(const PeerCredentials peer,
                   GetPeerCredentials(connection.get()));
  if (peer.pid == getpid()) return OkStatus();
  return Unavailable("process " + std::to_string(peer.pid) + " has \"" +
                     socket + "\"");
}

Status CheckDisk(const std::string& folder) {
  struct statvfs disk;
  if (statvfs(folder.c_str(), &disk) != 0) {
    return Errno(errno, "look for room in \"" + folder + "\"");
  }
  const std::string where = "the file system of \"" + folder + "\" ";
  if ((disk.f_flag & ST_RDONLY) != 0) {
    return Unavailable(where + "is read-only");
  }
  // Root may take what is reserved for it.
  if (disk.f_bfree * disk.f_frsize < kLeastRoom) {
    return ResourceExhausted(where + "is full");
  }
  // Some file systems count no inodes.
  if (disk.f_files != 0 && disk.f_ffree == 0) {
    return ResourceExhausted(where + "has no free inode");
  }
  return OkStatus();
}

}  // namespace

Health::Health(std::vector<Door> doors, std::string root,
               std::function<size_t()> unsaved)
    : doors_(std::move(doors)),
      root_(std::move(root)),
      unsaved_(std::move(unsaved)) {}

std::vector<std::string> Health::Reasons() const {
  std::vector<std::string> reasons;
  for (const Door& door : doors_) {
    const Status called = Call(door.socket);
    if (!called.ok()) {
      reasons.push_back("door " + door.name + ": " + Message(called));
    }
  }
  const Status disk = CheckDisk(root_);
  if (!disk.ok()) reasons.push_back("store: " + Message(disk));
  if (const size_t count = unsaved_(); count > 0) {
    reasons.push_back("store: " + std::to_string(count) +
                      " records could not be saved yet");
  }
  return reasons;
}

}  // namespace berth::admin
