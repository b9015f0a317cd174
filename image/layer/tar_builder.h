// Tar streams made by hand, right or wrong, for the tests of this folder.
#ifndef IMAGE_LAYER_TAR_BUILDER_H_
#define IMAGE_LAYER_TAR_BUILDER_H_

#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"
#include "image/layer/byte_source.h"

namespace berth::image {

// Writes tar archives, wrong ones too, for tests and fuzzing.
// Thread-compatible.
class TarBuilder {
 public:
  // A header with its checksum; `size` need not be the data's.
  static std::string Header(const std::string& name, char type, uint64_t size,
                            const std::string& link = "", int mode = 0644,
                            int uid = 0, int gid = 0) {
    std::string block(512, '\0');
    const auto put = [&](size_t at, const std::string& text) {
      block.replace(at, text.size(), text);
    };
    const auto octal = [](uint64_t value, int digits) {
      char text[32];
      snprintf(text, sizeof(text), "%0*llo", digits,
               static_cast<unsigned long long>(value));
      return std::string(text);
    };
    put(0, name.substr(0, 100));
    put(100, octal(static_cast<uint64_t>(mode), 7));
    put(108, octal(static_cast<uint64_t>(uid), 7));
    put(116, octal(static_cast<uint64_t>(gid), 7));
    put(124, octal(size, 11));
    put(136, octal(1'700'000'000, 11));
    block[156] = type;
    put(157, link.substr(0, 100));
    put(257, std::string("ustar\00000", 8));
    return WithChecksum(std::move(block));
  }
  static std::string WithChecksum(std::string block) {
    block.replace(148, 8, "        ");
    unsigned int sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    char text[16];
    snprintf(text, sizeof(text), "%06o", sum);
    block.replace(148, 7, std::string(text) + std::string(1, '\0'));
    return block;
  }
  static std::string Padded(std::string data) {
    data.resize((data.size() + 511) / 512 * 512);
    return data;
  }

  TarBuilder& Raw(const std::string& bytes) {
    bytes_ += bytes;
    return *this;
  }
  TarBuilder& File(const std::string& name, const std::string& data,
                   int mode = 0644) {
    return Raw(Header(name, '0', data.size(), "", mode) + Padded(data));
  }
  TarBuilder& Directory(const std::string& name, int mode = 0755, int uid = 0,
                        int gid = 0) {
    return Raw(Header(name, '5', 0, "", mode, uid, gid));
  }
  TarBuilder& Symlink(const std::string& name, const std::string& target) {
    return Raw(Header(name, '2', 0, target, 0777));
  }
  TarBuilder& HardLink(const std::string& name, const std::string& target) {
    return Raw(Header(name, '1', 0, target));
  }
  // An extended header for the next entry.
  TarBuilder& Pax(const std::string& key, const std::string& value) {
    const std::string record = " " + key + "=" + value + "\n";
    size_t length = record.size();
    while (std::to_string(length).size() + record.size() != length) {
      length = std::to_string(length).size() + record.size();
    }
    const std::string all = std::to_string(length) + record;
    return Raw(Header("x", 'x', all.size()) + Padded(all));
  }
  std::string Bytes() const { return bytes_ + std::string(1024, '\0'); }
  std::string Unended() const { return bytes_; }

 private:
  std::string bytes_;
};

// Bytes in memory, given out in pieces of `piece` bytes.
class StringSource : public ByteSource {
 public:
  explicit StringSource(std::string bytes, size_t piece = 1000)
      : bytes_(std::move(bytes)), piece_(piece) {}
  StatusOr<std::string_view> Next() override {
    const std::string_view next = std::string_view(bytes_).substr(at_, piece_);
    at_ += next.size();
    return next;
  }

 private:
  const std::string bytes_;
  const size_t piece_;
  size_t at_ = 0;
};

}  // namespace berth::image

#endif  // IMAGE_LAYER_TAR_BUILDER_H_
