// The fields of a tar stream: numbers, names, checksums, pax records. Pure.
// Source: pax(1) of POSIX.1-2017, tar(5) of libarchive.
#ifndef IMAGE_LAYER_TAR_FIELDS_H_
#define IMAGE_LAYER_TAR_FIELDS_H_

#include <time.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace berth::image {

// Octal with blanks around, or base 256 when the first bit is set. Nothing for
// anything else.
std::optional<int64_t> TarNumber(std::string_view field);

// Up to the first NUL.
std::string TarText(std::string_view field);

// INVALID_ARGUMENT unless the header block sums up to what it says.
Status CheckTarChecksum(std::string_view block);

// Relative, without empty and "." components. INVALID_ARGUMENT for "..", NUL, a
// component over 255 bytes; FAILED_PRECONDITION over 4096 bytes or 512 levels.
StatusOr<std::string> CleanTarPath(std::string_view name);

// The records of an extended header: "length key=value\n".
// Thread-compatible.
class PaxRecords {
 public:
  Status Parse(std::string_view content);

  // Nothing if absent or empty, which means the same.
  std::optional<std::string> Text(const std::string& key) const;
  StatusOr<int64_t> Number(const std::string& key, int64_t otherwise) const;
  // Seconds with a fraction.
  StatusOr<struct timespec> Time(const std::string& key,
                                 int64_t otherwise) const;
  // Of SCHILY.xattr. and LIBARCHIVE.xattr.; the former wins.
  StatusOr<std::map<std::string, std::string>> Xattrs() const;

  // Of formats 0.0 and 0.1: pairs of offset and length.
  bool has_sparse_map() const { return has_sparse_map_; }
  const std::vector<std::pair<uint64_t, uint64_t>>& sparse_map() const {
    return sparse_map_;
  }

 private:
  Status AddSparse(std::string_view key, std::string_view value);

  std::map<std::string, std::string> records_;
  std::vector<std::pair<uint64_t, uint64_t>> sparse_map_;
  std::optional<uint64_t> sparse_offset_;
  bool has_sparse_map_ = false;
};

}  // namespace berth::image

#endif  // IMAGE_LAYER_TAR_FIELDS_H_
