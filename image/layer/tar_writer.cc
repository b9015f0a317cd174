#include "image/layer/tar_writer.h"

#include <cstdio>
#include <utility>

#include "base/strings.h"

namespace berth::image {
namespace {

constexpr size_t kBlock = 512;
constexpr size_t kNameSize = 100;
constexpr int64_t kMaxId = 07777777;                  // 7 octal digits
constexpr int64_t kMaxSize = (int64_t{1} << 33) - 1;  // 11 octal digits
constexpr char kXattrPrefix[] = "SCHILY.xattr.";

char TypeOf(EntryKind kind) {
  switch (kind) {
    case EntryKind::kFile:
      return '0';
    case EntryKind::kHardLink:
      return '1';
    case EntryKind::kSymlink:
      return '2';
    case EntryKind::kCharDevice:
      return '3';
    case EntryKind::kBlockDevice:
      return '4';
    case EntryKind::kDirectory:
      return '5';
    case EntryKind::kFifo:
      return '6';
  }
  return '0';
}

// A number that does not fit is in the pax header; here it is 0.
std::string Octal(int64_t value, int64_t most, int digits) {
  char text[32];
  const bool fits = value >= 0 && value <= most;
  snprintf(text, sizeof(text), "%0*llo", digits,
           static_cast<unsigned long long>(fits ? value : 0));
  return text;
}

// "length key=value\n", where the length counts itself.
std::string PaxRecord(const std::string& key, std::string_view value) {
  const size_t rest = key.size() + value.size() + 3;
  size_t length = rest + 1;
  while (std::to_string(length).size() + rest != length) {
    length = std::to_string(length).size() + rest;
  }
  std::string record = std::to_string(length) + " " + key + "=";
  record += value;
  record += '\n';
  return record;
}

struct Header {
  std::string name;
  std::string link;
  char type = '0';
  int64_t mode = 0;
  int64_t uid = 0;
  int64_t gid = 0;
  int64_t size = 0;
  int64_t mtime = 0;
  int64_t major = 0;
  int64_t minor = 0;

  std::string Block() const {
    std::string block(kBlock, '\0');
    const auto put = [&block](size_t at, const std::string& field) {
      block.replace(at, field.size(), field);
    };
    put(0, name.substr(0, kNameSize));
    put(100, Octal(mode, kMaxId, 7));
    put(108, Octal(uid, kMaxId, 7));
    put(116, Octal(gid, kMaxId, 7));
    put(124, Octal(size, kMaxSize, 11));
    put(136, Octal(mtime, kMaxSize, 11));
    put(148, "        ");
    put(156, std::string(1, type));
    put(157, link.substr(0, kNameSize));
    put(257, std::string("ustar\00000", 8));
    put(329, Octal(major, kMaxId, 7));
    put(337, Octal(minor, kMaxId, 7));
    unsigned int sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    put(148, Octal(sum, kMaxId, 6) + std::string("\0 ", 2));
    return block;
  }

  // What the block cannot say.
  std::string Pax() const {
    std::string records;
    if (name.size() > kNameSize) records += PaxRecord("path", name);
    if (link.size() > kNameSize) records += PaxRecord("linkpath", link);
    const auto number = [&](const char* key, int64_t value, int64_t most) {
      if (value >= 0 && value <= most) return;
      records += PaxRecord(key, std::to_string(value));
    };
    number("uid", uid, kMaxId);
    number("gid", gid, kMaxId);
    number("size", size, kMaxSize);
    number("mtime", mtime, kMaxSize);
    return records;
  }
};

Header HeaderOf(const LayerEntry& entry) {
  Header header;
  header.name = entry.path;
  if (entry.kind == EntryKind::kDirectory && !EndsWith(header.name, "/")) {
    header.name += '/';
  }
  header.type = TypeOf(entry.kind);
  header.link = entry.link;
  header.mode = entry.mode & 07777;
  header.uid = entry.uid;
  header.gid = entry.gid;
  header.mtime = entry.mtime.tv_sec;
  if (entry.kind == EntryKind::kFile) {
    header.size = static_cast<int64_t>(entry.size);
  } else if (entry.kind == EntryKind::kCharDevice ||
             entry.kind == EntryKind::kBlockDevice) {
    header.major = entry.major;
    header.minor = entry.minor;
  }
  return header;
}

}  // namespace

Status TarWriter::Pad() {
  if (left_ > 0) return Internal("tar writer: the last file is not complete");
  if (padding_ == 0) return OkStatus();
  return write_(std::string(std::exchange(padding_, 0), '\0'));
}

Status TarWriter::WritePax(const std::string& records) {
  Header header;
  header.name = "PaxHeaders.0";
  header.type = 'x';
  header.mode = 0644;
  header.size = static_cast<int64_t>(records.size());
  const size_t rest = (kBlock - records.size() % kBlock) % kBlock;
  return write_(header.Block() + records + std::string(rest, '\0'));
}

Status TarWriter::Begin(const LayerEntry& entry) {
  RETURN_IF_ERROR(Pad());
  const Header header = HeaderOf(entry);
  std::string records = header.Pax();
  for (const auto& [name, value] : entry.xattrs) {
    records += PaxRecord(kXattrPrefix + name, value);
  }
  if (!records.empty()) RETURN_IF_ERROR(WritePax(records));
  RETURN_IF_ERROR(write_(header.Block()));
  left_ = static_cast<uint64_t>(header.size);
  padding_ = (kBlock - left_ % kBlock) % kBlock;
  return OkStatus();
}

Status TarWriter::Data(std::string_view bytes) {
  if (bytes.size() > left_) {
    return Internal("tar writer: more bytes than the file has");
  }
  left_ -= bytes.size();
  return write_(bytes);
}

Status TarWriter::Finish() {
  RETURN_IF_ERROR(Pad());
  return write_(std::string(2 * kBlock, '\0'));
}

}  // namespace berth::image
