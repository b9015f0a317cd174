#ifndef BASE_STORE_DISK_ROOM_H_
#define BASE_STORE_DISK_ROOM_H_

#include <string>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth {

// Blocks of the file system that a database's two files hold before anything
// is written to them (fallocate(2) with FALLOC_FL_KEEP_SIZE), so that nobody
// else can take them when the disk becomes full.
//
// Its descriptors must outlive the database's own: to close any descriptor of
// a file drops all of the process's locks on it (fcntl(2)). Thread-compatible.
class DiskRoom {
 public:
  // Both files must exist.
  Status Open(const std::string& database, const std::string& log);

  // Blocks for all of the database, holes included, for `more` bytes behind
  // its end (until it is cut or written there), and for the first `log_bytes`
  // of its log. RESOURCE_EXHAUSTED if the disk has none left; OK where the
  // file system cannot promise any.
  Status Hold(off_t more, off_t log_bytes);

 private:
  UniqueFd database_;
  UniqueFd log_;
};

}  // namespace berth

#endif  // BASE_STORE_DISK_ROOM_H_
