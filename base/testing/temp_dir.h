#ifndef BASE_TESTING_TEMP_DIR_H_
#define BASE_TESTING_TEMP_DIR_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"

namespace berth {

// A fresh directory under /tmp (short enough for socket paths), removed with
// all in it at the end. Aborts the test program when the host will not let it
// work. Single-threaded.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }
  std::string Path(std::string_view name) const;

  void Write(std::string_view name, std::string_view contents) const;
  std::string Read(std::string_view name) const;
  // With parents.
  void MakeDirectory(std::string_view name) const;
  bool Exists(std::string_view name) const;
  // The names directly inside, sorted.
  std::vector<std::string> Names(std::string_view directory = "") const;

 private:
  std::string path_;
  UniqueFd fd_;
};

}  // namespace berth

#endif  // BASE_TESTING_TEMP_DIR_H_
