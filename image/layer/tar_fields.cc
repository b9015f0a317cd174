#include "image/layer/tar_fields.h"

#include <algorithm>

#include "base/base64.h"
#include "base/strings.h"

namespace berth::image {
namespace {

constexpr size_t kMaxComponent = 255;
constexpr size_t kMaxPath = 4096;
constexpr size_t kMaxLevels = 512;
constexpr size_t kMaxXattrValue = 64 * 1024;
constexpr size_t kMaxXattrs = 256 * 1024;
constexpr size_t kMaxSegments = 1 << 16;
constexpr std::string_view kSchily = "SCHILY.xattr.";
constexpr std::string_view kLibarchive = "LIBARCHIVE.xattr.";

std::optional<int64_t> Base256(std::string_view field) {
  // Two's complement; the first bit only marks the format.
  const bool negative = (field[0] & 0x40) != 0;
  int64_t value = negative ? -1 : 0;
  for (size_t i = 0; i < field.size(); ++i) {
    const unsigned char raw = static_cast<unsigned char>(field[i]);
    const unsigned char byte =
        i == 0 ? static_cast<unsigned char>(negative ? raw | 0x80 : raw & 0x3f)
               : raw;
    if (value > (INT64_MAX >> 8) || value < (INT64_MIN >> 8)) {
      return std::nullopt;
    }
    value = static_cast<int64_t>(static_cast<uint64_t>(value) << 8 | byte);
  }
  return value;
}

std::string PercentDecode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](size_t at) {
      const char c = at < text.size() ? text[at] : 'x';
      if (c >= '0' && c <= '9') return c - '0';
      if (c >= 'a' && c <= 'f') return c - 'a' + 10;
      if (c >= 'A' && c <= 'F') return c - 'A' + 10;
      return -1;
    };
    if (text[i] == '%' && digit(i + 1) >= 0 && digit(i + 2) >= 0) {
      out += static_cast<char>(digit(i + 1) * 16 + digit(i + 2));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

std::optional<int64_t> TarNumber(std::string_view field) {
  if (!field.empty() && (field[0] & 0x80) != 0) return Base256(field);
  const std::string text = TarText(field);
  const std::string_view digits = Trim(text);
  if (digits.size() > 20) return std::nullopt;
  int64_t value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '7' || value > INT64_MAX >> 3) return std::nullopt;
    value = value << 3 | (c - '0');
  }
  return value;
}

std::string TarText(std::string_view field) {
  return std::string(field.substr(0, field.find('\0')));
}

Status CheckTarChecksum(std::string_view block) {
  const std::optional<int64_t> stated = TarNumber(block.substr(148, 8));
  int64_t sum = 0;
  int64_t signed_sum = 0;  // as some old writers had it
  for (size_t i = 0; i < block.size(); ++i) {
    const char c = i >= 148 && i < 156 ? ' ' : block[i];
    sum += static_cast<unsigned char>(c);
    signed_sum += static_cast<signed char>(c);
  }
  if (!stated || (*stated != sum && *stated != signed_sum)) {
    return InvalidArgument("tar header with a wrong checksum");
  }
  return OkStatus();
}

StatusOr<std::string> CleanTarPath(std::string_view name) {
  if (name.find('\0') != std::string_view::npos) {
    return InvalidArgument("name " + Quoted(name.substr(0, kMaxPath)) +
                           " holds a NUL");
  }
  if (name.size() > kMaxPath) {
    return FailedPrecondition("name of " + std::to_string(name.size()) +
                              " bytes is over the limit of " +
                              std::to_string(kMaxPath));
  }
  std::string path;
  size_t levels = 0;
  for (const std::string& part : Split(name, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      return InvalidArgument("name " + Quoted(name) + " leaves the root");
    }
    if (part.size() > kMaxComponent) {
      return InvalidArgument("name " + Quoted(name) +
                             " has a component over 255 bytes");
    }
    if (++levels > kMaxLevels) {
      return FailedPrecondition("name has more than " +
                                std::to_string(kMaxLevels) + " levels");
    }
    if (!path.empty()) path += '/';
    path += part;
  }
  return path;
}

Status PaxRecords::Parse(std::string_view content) {
  while (!content.empty()) {
    const size_t space = content.find(' ');
    const std::optional<uint64_t> length =
        space == std::string_view::npos ? std::nullopt
                                        : ParseUint(content.substr(0, space));
    if (!length || *length > content.size() || *length < space + 3 ||
        content[*length - 1] != '\n') {
      return InvalidArgument("pax header is malformed");
    }
    const std::string_view record =
        content.substr(space + 1, *length - space - 2);
    content.remove_prefix(*length);
    const size_t equals = record.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return InvalidArgument("pax header has a record without a value");
    }
    const std::string key(record.substr(0, equals));
    const std::string_view value = record.substr(equals + 1);
    records_[key] = std::string(value);
    RETURN_IF_ERROR(AddSparse(key, value));
  }
  return OkStatus();
}

Status PaxRecords::AddSparse(std::string_view key, std::string_view value) {
  const Status bad = InvalidArgument("pax header has a bad sparse map");
  if (key == "GNU.sparse.offset") {  // format 0.0
    sparse_offset_ = ParseUint(value);
    return sparse_offset_ ? OkStatus() : bad;
  }
  if (key == "GNU.sparse.numbytes") {
    const std::optional<uint64_t> length = ParseUint(value);
    if (!length || !sparse_offset_ || sparse_map_.size() >= kMaxSegments) {
      return bad;
    }
    sparse_map_.emplace_back(*sparse_offset_, *length);
    sparse_offset_.reset();
    has_sparse_map_ = true;
  } else if (key == "GNU.sparse.map") {  // format 0.1
    const std::vector<std::string> numbers = Split(value, ',');
    if (numbers.size() % 2 != 0 || numbers.size() > 2 * kMaxSegments) {
      return bad;
    }
    sparse_map_.clear();
    for (size_t i = 0; i < numbers.size(); i += 2) {
      const std::optional<uint64_t> offset = ParseUint(numbers[i]);
      const std::optional<uint64_t> length = ParseUint(numbers[i + 1]);
      if (!offset || !length) return bad;
      sparse_map_.emplace_back(*offset, *length);
    }
    has_sparse_map_ = true;
  }
  return OkStatus();
}

std::optional<std::string> PaxRecords::Text(const std::string& key) const {
  const auto it = records_.find(key);
  if (it == records_.end() || it->second.empty()) return std::nullopt;
  return it->second;
}

StatusOr<int64_t> PaxRecords::Number(const std::string& key,
                                     int64_t otherwise) const {
  const std::optional<std::string> text = Text(key);
  if (!text) return otherwise;
  const std::optional<int64_t> number = ParseInt(*text);
  if (!number) return InvalidArgument("pax " + key + " is not a number");
  return *number;
}

StatusOr<struct timespec> PaxRecords::Time(const std::string& key,
                                           int64_t otherwise) const {
  struct timespec time = {};
  const std::optional<std::string> text = Text(key);
  if (!text) {
    time.tv_sec = otherwise;
    return time;
  }
  const size_t dot = text->find('.');
  const std::optional<int64_t> seconds = ParseInt(text->substr(0, dot));
  if (!seconds) return InvalidArgument("pax " + key + " is not a time");
  time.tv_sec = *seconds;
  long unit = 100'000'000;
  for (size_t i = dot; dot != std::string::npos && ++i < text->size();) {
    const char c = (*text)[i];
    if (c < '0' || c > '9') {
      return InvalidArgument("pax " + key + " is not a time");
    }
    time.tv_nsec += (c - '0') * unit;
    unit /= 10;
  }
  if (time.tv_nsec > 0 && (*text)[0] == '-') {  // -1.25 is 0.75 after -2
    --time.tv_sec;
    time.tv_nsec = 1'000'000'000 - time.tv_nsec;
  }
  return time;
}

StatusOr<std::map<std::string, std::string>> PaxRecords::Xattrs() const {
  std::map<std::string, std::string> xattrs;
  size_t total = 0;
  for (const auto& [key, value] : records_) {
    std::string name;
    std::string bytes;
    if (StartsWith(key, kSchily)) {
      name = key.substr(kSchily.size());
      bytes = value;
    } else if (StartsWith(key, kLibarchive)) {
      name = PercentDecode(key.substr(kLibarchive.size()));
      StatusOr<std::string> decoded = Base64Decode(value);
      if (!decoded.ok()) continue;
      bytes = *std::move(decoded);
    } else {
      continue;
    }
    total += name.size() + bytes.size();
    if (bytes.size() > kMaxXattrValue || total > kMaxXattrs) {
      return FailedPrecondition("extended attribute " +
                                Quoted(name.substr(0, kMaxComponent)) +
                                " is over the limit");
    }
    if (name.empty() || name.size() > kMaxComponent ||
        name.find('\0') != std::string::npos) {
      return InvalidArgument("bad name of an extended attribute");
    }
    xattrs[name] = std::move(bytes);  // SCHILY sorts last: it wins
  }
  return xattrs;
}

}  // namespace berth::image
