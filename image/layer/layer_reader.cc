#include "image/layer/layer_reader.h"

#include <algorithm>
#include <cstring>

#include "base/strings.h"
#include "image/layer/tar_fields.h"

namespace berth::image {
namespace {

constexpr size_t kBlock = 512;
constexpr uint64_t kMaxExtension = 1 << 20;  // a pax header, a long name
constexpr uint64_t kMaxSize = uint64_t{1} << 60;
constexpr uint64_t kMaxSparseSize = uint64_t{1} << 40;
constexpr size_t kMaxSegments = 1 << 16;

uint64_t PaddingOf(uint64_t size) { return (kBlock - size % kBlock) % kBlock; }

bool IsZero(std::string_view block) {
  return block.find_first_not_of('\0') == std::string_view::npos;
}

// Segments in order, apart from each other, within the file.
Status CheckSegments(const LayerEntry& entry) {
  uint64_t end = 0;
  for (const LayerEntry::Segment& segment : entry.segments) {
    if (segment.offset < end || segment.length > entry.size ||
        segment.offset > entry.size - segment.length) {
      return InvalidArgument("sparse map of " + Quoted(entry.path) +
                             " is out of order or range");
    }
    end = segment.offset + segment.length;
  }
  return OkStatus();
}

uint64_t BytesIn(const std::vector<LayerEntry::Segment>& segments) {
  uint64_t sum = 0;
  for (const LayerEntry::Segment& segment : segments) sum += segment.length;
  return sum;
}

}  // namespace

struct LayerReader::Header {
  char type = 0;
  std::string name;
  std::string link;
  int64_t mode = 0;
  int64_t uid = 0;
  int64_t gid = 0;
  int64_t size = 0;
  int64_t mtime = 0;
  int64_t major = 0;
  int64_t minor = 0;

  static StatusOr<Header> Parse(std::string_view block);
};

// What the blocks before an entry say about it.
struct LayerReader::Extensions {
  std::optional<std::string> name;  // GNU 'L'
  std::optional<std::string> link;  // GNU 'K'
  PaxRecords pax;
};

StatusOr<LayerReader::Header> LayerReader::Header::Parse(
    std::string_view block) {
  RETURN_IF_ERROR(CheckTarChecksum(block));
  Header header;
  header.type = block[156];
  header.name = TarText(block.substr(0, 100));
  header.link = TarText(block.substr(157, 100));
  const std::string_view magic = block.substr(257, 8);
  if (StartsWith(magic, std::string_view("ustar\0", 6))) {
    const std::string prefix = TarText(block.substr(345, 155));
    if (!prefix.empty()) header.name = prefix + "/" + header.name;
  }
  struct Field {
    size_t at, length;
    int64_t* to;
  };
  const Field fields[] = {
      {100, 8, &header.mode},   {108, 8, &header.uid},
      {116, 8, &header.gid},    {124, 12, &header.size},
      {136, 12, &header.mtime}, {329, 8, &header.major},
      {337, 8, &header.minor},
  };
  for (const Field& field : fields) {
    // The old format has no device numbers; what is there may be anything.
    if (field.at >= 329 && !StartsWith(magic, "ustar")) continue;
    const std::optional<int64_t> number =
        TarNumber(block.substr(field.at, field.length));
    if (!number) {
      return InvalidArgument("tar header of " + Quoted(header.name) +
                             ": bad number");
    }
    *field.to = *number;
  }
  if (header.size < 0) {
    return InvalidArgument("tar header of " + Quoted(header.name) +
                           ": negative size");
  }
  return header;
}

StatusOr<bool> LayerReader::Fill() {
  if (!bytes_.empty()) return true;
  ASSIGN_OR_RETURN(bytes_, from_.Next());
  return !bytes_.empty();
}

StatusOr<bool> LayerReader::ReadBlock() {
  block_.clear();
  while (block_.size() < kBlock) {
    ASSIGN_OR_RETURN(const bool more, Fill());
    if (!more) {
      if (block_.empty()) return false;
      return InvalidArgument("tar stream ends inside a block");
    }
    const size_t n = std::min(kBlock - block_.size(), bytes_.size());
    block_.append(bytes_.substr(0, n));
    bytes_.remove_prefix(n);
  }
  return true;
}

StatusOr<std::string> LayerReader::ReadContent(uint64_t size,
                                               const char* what) {
  if (size > kMaxExtension) {
    return FailedPrecondition(
        std::string(what) + " of " + std::to_string(size) +
        " bytes is over the limit of " + std::to_string(kMaxExtension));
  }
  std::string content;
  while (content.size() < size) {
    ASSIGN_OR_RETURN(const bool more, ReadBlock());
    if (!more) return InvalidArgument("tar stream ends inside a header");
    content += block_;
  }
  content.resize(size);
  return content;
}

StatusOr<std::string_view> LayerReader::Data() {
  if (data_left_ == 0) return std::string_view();
  ASSIGN_OR_RETURN(const bool more, Fill());
  if (!more) return InvalidArgument("tar stream ends inside a file");
  const std::string_view piece =
      bytes_.substr(0, std::min<uint64_t>(data_left_, bytes_.size()));
  bytes_.remove_prefix(piece.size());
  data_left_ -= piece.size();
  return piece;
}

Status LayerReader::SkipData() {
  while (data_left_ > 0) RETURN_IF_ERROR(Data().status());
  data_left_ = padding_;
  padding_ = 0;
  // Some writers leave out what rounds the last file up to a block: a stream
  // may end there as well as at a block (Go's archive/tar takes it, too).
  while (data_left_ > 0) {
    ASSIGN_OR_RETURN(const bool more, Fill());
    if (!more) data_left_ = 0;
    RETURN_IF_ERROR(Data().status());
  }
  return OkStatus();
}

Status LayerReader::Drain() {
  while (true) {
    bytes_ = {};
    ASSIGN_OR_RETURN(const bool more, Fill());
    if (!more) return OkStatus();
  }
}

Status LayerReader::ReadExtension(const Header& header,
                                  Extensions& extensions) {
  const auto size = static_cast<uint64_t>(header.size);
  if (header.type == 'g') {  // of no use to us, whatever it says
    data_left_ = size;
    padding_ = PaddingOf(size);
    return SkipData();
  }
  ASSIGN_OR_RETURN(const std::string content,
                   ReadContent(size, "tar extension header"));
  if (header.type == 'L') {
    extensions.name = TarText(content);
  } else if (header.type == 'K') {
    extensions.link = TarText(content);
  } else {
    RETURN_IF_ERROR(extensions.pax.Parse(content));
  }
  return OkStatus();
}

StatusOr<std::optional<LayerEntry>> LayerReader::Next() {
  RETURN_IF_ERROR(SkipData());
  Extensions extensions;
  bool extended = false;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, ReadBlock());
    if (!more && extended) {
      return InvalidArgument("tar stream ends inside an entry");
    }
    if (!more) return std::optional<LayerEntry>();
    if (IsZero(block_)) {
      ASSIGN_OR_RETURN(const bool second, ReadBlock());
      if (second && !IsZero(block_)) {
        return InvalidArgument("tar stream: an empty block between entries");
      }
      return std::optional<LayerEntry>();
    }
    ASSIGN_OR_RETURN(const Header header, Header::Parse(block_));
    if (header.type == 'x' || header.type == 'g' || header.type == 'L' ||
        header.type == 'K') {
      RETURN_IF_ERROR(ReadExtension(header, extensions));
      extended = extended || header.type != 'g';
      continue;
    }
    ASSIGN_OR_RETURN(LayerEntry entry, MakeEntry(header, extensions));
    return std::optional<LayerEntry>(std::move(entry));
  }
}

namespace {

StatusOr<EntryKind> KindOf(char type, const std::string& name) {
  switch (type) {
    case '0':
    case '\0':
      return EndsWith(name, "/") ? EntryKind::kDirectory : EntryKind::kFile;
    case '7':
    case 'S':
      return EntryKind::kFile;
    case '1':
      return EntryKind::kHardLink;
    case '2':
      return EntryKind::kSymlink;
    case '3':
      return EntryKind::kCharDevice;
    case '4':
      return EntryKind::kBlockDevice;
    case '5':
      return EntryKind::kDirectory;
    case '6':
      return EntryKind::kFifo;
    default:
      return InvalidArgument("tar entry " + Quoted(name) + ": unknown kind " +
                             Quoted(std::string_view(&type, 1)));
  }
}

Status SetOwner(int64_t uid, int64_t gid, LayerEntry& entry) {
  // The highest value means "no change" to chown(2).
  constexpr int64_t kMaxId = 0xfffffffe;
  if (uid < 0 || uid > kMaxId || gid < 0 || gid > kMaxId) {
    return InvalidArgument("tar entry " + Quoted(entry.path) +
                           ": owner out of range");
  }
  entry.uid = static_cast<uid_t>(uid);
  entry.gid = static_cast<gid_t>(gid);
  return OkStatus();
}

}  // namespace

StatusOr<LayerEntry> LayerReader::MakeEntry(const Header& header,
                                            Extensions& extensions) {
  const PaxRecords& pax = extensions.pax;
  const std::string name = pax.Text("GNU.sparse.name")
                               .value_or(pax.Text("path").value_or(
                                   extensions.name.value_or(header.name)));
  const std::string link =
      pax.Text("linkpath").value_or(extensions.link.value_or(header.link));
  LayerEntry entry;
  ASSIGN_OR_RETURN(entry.kind, KindOf(header.type, name));
  ASSIGN_OR_RETURN(entry.path, CleanTarPath(name));
  if (entry.kind == EntryKind::kHardLink) {
    ASSIGN_OR_RETURN_AS(entry.link, CleanTarPath(link),
                        "hard link " + Quoted(entry.path));
  } else if (entry.kind == EntryKind::kSymlink) {
    entry.link = link;
    if (link.empty() || link.size() > 4095 ||
        link.find('\0') != std::string::npos) {
      return InvalidArgument("symbolic link " + Quoted(entry.path) +
                             ": bad target");
    }
  }
  ASSIGN_OR_RETURN(const int64_t uid, pax.Number("uid", header.uid));
  ASSIGN_OR_RETURN(const int64_t gid, pax.Number("gid", header.gid));
  RETURN_IF_ERROR(SetOwner(uid, gid, entry));
  ASSIGN_OR_RETURN(entry.mtime, pax.Time("mtime", header.mtime));
  ASSIGN_OR_RETURN(entry.xattrs, pax.Xattrs());
  ASSIGN_OR_RETURN(const int64_t stored, pax.Number("size", header.size));
  if (stored < 0 || static_cast<uint64_t>(stored) > kMaxSize) {
    return InvalidArgument("tar entry " + Quoted(entry.path) +
                           ": size out of range");
  }
  entry.mode = static_cast<mode_t>(header.mode & 07777);
  entry.major = static_cast<unsigned int>(header.major);
  entry.minor = static_cast<unsigned int>(header.minor);
  const bool has_data =
      entry.kind == EntryKind::kFile;  // of others the size says nothing
  data_left_ = has_data ? static_cast<uint64_t>(stored) : 0;
  padding_ = PaddingOf(data_left_);
  entry.size = data_left_;
  RETURN_IF_ERROR(ReadSparseMap(header, extensions, entry));
  return entry;
}

Status LayerReader::ReadSparseMap(const Header& header,
                                  const Extensions& extensions,
                                  LayerEntry& entry) {
  const PaxRecords& pax = extensions.pax;
  const bool old_format = header.type == 'S';
  const bool in_file = pax.Text("GNU.sparse.major").has_value();
  const bool in_records = pax.has_sparse_map();
  if (entry.kind != EntryKind::kFile ||
      !(old_format || in_file || in_records)) {
    entry.segments = {{0, entry.size}};
    return OkStatus();
  }
  if (old_format) {
    RETURN_IF_ERROR(ReadOldSparse(entry));
  } else {
    ASSIGN_OR_RETURN(const int64_t size, pax.Number("GNU.sparse.size", -1));
    ASSIGN_OR_RETURN(const int64_t real,
                     pax.Number("GNU.sparse.realsize", size));
    if (real < 0) return InvalidArgument("sparse file without a size");
    entry.size = static_cast<uint64_t>(real);
    if (in_file) {
      RETURN_IF_ERROR(ReadSparseFile(entry));
    } else {
      for (const auto& [offset, length] : pax.sparse_map()) {
        entry.segments.push_back({offset, length});
      }
    }
  }
  if (entry.size > kMaxSparseSize) {
    return FailedPrecondition("sparse file " + Quoted(entry.path) + " of " +
                              std::to_string(entry.size) +
                              " bytes is over the limit of " +
                              std::to_string(kMaxSparseSize));
  }
  RETURN_IF_ERROR(CheckSegments(entry));
  if (BytesIn(entry.segments) != data_left_) {
    return InvalidArgument("sparse map of " + Quoted(entry.path) +
                           " does not match its data");
  }
  return OkStatus();
}

// Pairs of 12-byte numbers: four in the header, 21 in each block that follows
// as long as the one before says so (tar(5), "GNU tar Archives").
Status LayerReader::ReadOldSparse(LayerEntry& entry) {
  const std::optional<int64_t> real =
      TarNumber(std::string_view(block_).substr(483, 12));
  if (!real || *real < 0) return InvalidArgument("sparse file: bad size");
  entry.size = static_cast<uint64_t>(*real);
  size_t at = 386;
  int pairs = 4;
  size_t more_at = 482;
  while (true) {
    for (int i = 0; i < pairs; ++i) {
      const std::string_view pair =
          std::string_view(block_).substr(at + static_cast<size_t>(i) * 24, 24);
      if (pair[0] == '\0') break;
      const std::optional<int64_t> offset = TarNumber(pair.substr(0, 12));
      const std::optional<int64_t> length = TarNumber(pair.substr(12));
      if (!offset || !length || *offset < 0 || *length < 0 ||
          entry.segments.size() >= kMaxSegments) {
        return InvalidArgument("sparse file: bad map");
      }
      entry.segments.push_back(
          {static_cast<uint64_t>(*offset), static_cast<uint64_t>(*length)});
    }
    if (block_[more_at] == '\0') return OkStatus();
    ASSIGN_OR_RETURN(const bool more, ReadBlock());
    if (!more) return InvalidArgument("sparse file: map ends early");
    at = 0;
    pairs = 21;
    more_at = 504;
  }
}

// Format 1.0: the map is at the start of the data, as decimal lines, padded to
// a block.
Status LayerReader::ReadSparseFile(LayerEntry& entry) {
  std::string line;
  std::vector<uint64_t> numbers;
  uint64_t want = 1;
  while (numbers.size() < want) {
    if (data_left_ < kBlock) return InvalidArgument("sparse file: no map");
    ASSIGN_OR_RETURN(const bool more, ReadBlock());
    if (!more) return InvalidArgument("sparse file: map ends early");
    data_left_ -= kBlock;
    for (const char c : block_) {
      if (numbers.size() >= want) break;  // padding
      if (c != '\n') {
        line += c;
        if (line.size() > 20) return InvalidArgument("sparse file: bad map");
        continue;
      }
      const std::optional<uint64_t> number = ParseUint(line);
      if (!number) return InvalidArgument("sparse file: bad map");
      line.clear();
      numbers.push_back(*number);
      if (numbers.size() == 1) {
        if (*number > kMaxSegments) {
          return FailedPrecondition("sparse file: too many segments");
        }
        want = 1 + 2 * *number;
      }
    }
  }
  for (size_t i = 1; i + 1 < numbers.size(); i += 2) {
    entry.segments.push_back({numbers[i], numbers[i + 1]});
  }
  return OkStatus();
}

}  // namespace berth::image
