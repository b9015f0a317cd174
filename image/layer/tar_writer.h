#ifndef IMAGE_LAYER_TAR_WRITER_H_
#define IMAGE_LAYER_TAR_WRITER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "image/layer/layer_reader.h"

namespace berth::image {

// A tar stream of files of any kind (pax(1) of POSIX.1-2017): a ustar header
// for each, and a pax header before it for what does not fit in there: long
// names, big numbers, extended attributes. Times are whole seconds, and no
// names of users are written. The same entries give the same bytes.
// Single-threaded.
class TarWriter {
 public:
  // An error of `write` is the error of what called it.
  using Write = std::function<Status(std::string_view bytes)>;
  explicit TarWriter(Write write) : write_(std::move(write)) {}

  // Begins an entry. `entry.path` is written as it is, and with a slash behind
  // it if it is a directory; `segments` are not read. A file's `size` bytes
  // come after it. INTERNAL if the file before it is not complete.
  Status Begin(const LayerEntry& entry);
  // INTERNAL if they are more than the entry has.
  Status Data(std::string_view bytes);
  // The end of the archive.
  Status Finish();

 private:
  Status Pad();
  Status WritePax(const std::string& records);

  const Write write_;
  uint64_t left_ = 0;     // of the current file
  uint64_t padding_ = 0;  // behind it
};

}  // namespace berth::image

#endif  // IMAGE_LAYER_TAR_WRITER_H_
