#ifndef IMAGE_LAYER_LAYER_READER_H_
#define IMAGE_LAYER_LAYER_READER_H_

#include <sys/types.h>
#include <time.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "image/layer/byte_source.h"

namespace berth::image {

enum class EntryKind {
  kFile,
  kHardLink,
  kSymlink,
  kCharDevice,
  kBlockDevice,
  kDirectory,
  kFifo,
};

// One entry of a layer. Names are bytes, not text.
struct LayerEntry {
  EntryKind kind = EntryKind::kFile;
  // Relative, without "." and empty components; empty: the root itself.
  std::string path;
  // A symbolic link's text as it is; a hard link's target like `path`.
  std::string link;
  mode_t mode = 0;  // 07777
  uid_t uid = 0;
  gid_t gid = 0;
  struct timespec mtime = {};
  unsigned int major = 0;
  unsigned int minor = 0;
  std::map<std::string, std::string> xattrs;
  // Of a file's content as it will be; its holes are not in the stream.
  uint64_t size = 0;
  struct Segment {
    uint64_t offset;
    uint64_t length;
  };
  // Where the bytes of Data go, in order; without holes: one segment.
  std::vector<Segment> segments;
};

// The entries of a tar stream: ustar, GNU and pax, mixed (pax(1), tar(5)).
//
// Strict, as the stream comes from anywhere: INVALID_ARGUMENT for a bad
// checksum, a number out of range, an end inside an entry, a name with "..",
// NUL or a component over 255 bytes, an unknown kind; FAILED_PRECONDITION for
// what only our limits refuse. Memory is bounded by those limits, whatever the
// size of the stream. Single-threaded.
class LayerReader {
 public:
  // `from` must outlive this.
  explicit LayerReader(ByteSource& from) : from_(from) {}

  // The next entry; skips what is left of the one before. Nothing: the end of
  // the archive.
  StatusOr<std::optional<LayerEntry>> Next();
  // The next bytes of the current file; none: its end. Valid until the next
  // call.
  StatusOr<std::string_view> Data();
  // Reads to the end of the stream, which may go on behind the archive's.
  Status Drain();

 private:
  struct Header;
  struct Extensions;

  // 512 bytes; nothing at the end of the stream.
  StatusOr<bool> ReadBlock();
  StatusOr<std::string> ReadContent(uint64_t size, const char* what);
  Status SkipData();
  StatusOr<bool> Fill();
  Status ReadExtension(const Header& header, Extensions& extensions);
  StatusOr<LayerEntry> MakeEntry(const Header& header, Extensions& extensions);
  Status ReadSparseMap(const Header& header, const Extensions& extensions,
                       LayerEntry& entry);
  Status ReadOldSparse(LayerEntry& entry);
  Status ReadSparseFile(LayerEntry& entry);

  ByteSource& from_;
  std::string_view bytes_;  // not used yet
  std::string block_;       // the last that ReadBlock read
  uint64_t data_left_ = 0;
  uint64_t padding_ = 0;
};

}  // namespace berth::image

#endif  // IMAGE_LAYER_LAYER_READER_H_
