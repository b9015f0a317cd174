#include "base/store/disk_room.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/strings.h"

namespace berth {
namespace {

StatusOr<UniqueFd> OpenAgain(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd.valid()) return Errno(errno, "open " + Quoted(path));
  return fd;
}

Status HoldBlocks(int fd, off_t bytes) {
  if (bytes == 0) return OkStatus();
  if (TEMP_FAILURE_RETRY(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, bytes)) == 0 ||
      errno == EOPNOTSUPP || errno == ENOSYS) {
    return OkStatus();
  }
  return Errno(errno, "allocate disk space");
}

}  // namespace

Status DiskRoom::Open(const std::string& database, const std::string& log) {
  ASSIGN_OR_RETURN(database_, OpenAgain(database));
  ASSIGN_OR_RETURN(log_, OpenAgain(log));
  return OkStatus();
}

Status DiskRoom::Hold(off_t more, off_t log_bytes) {
  struct stat info;
  if (fstat(database_.get(), &info) != 0) {
    return Errno(errno, "read the size of a database");
  }
  RETURN_IF_ERROR(HoldBlocks(database_.get(), info.st_size + more));
  return HoldBlocks(log_.get(), log_bytes);
}

}  // namespace berth
