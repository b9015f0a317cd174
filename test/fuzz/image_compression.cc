// The framing of gzip and zstd, and what is neither.
#include <string>

#include "image/layer/decompressor.h"
#include "image/layer/tar_builder.h"
#include "test/fuzz/driver/fuzz_target.h"

FUZZ_TARGET(bytes) {
  // What comes out is bounded by its reader.
  constexpr size_t kMaxPlain = 4 << 20;
  if (bytes.empty()) return false;
  // Of all sizes the pieces may arrive in, the first byte chooses.
  const size_t piece = 1 + static_cast<unsigned char>(bytes[0]) % 100;
  berth::image::StringSource source(std::string(bytes.substr(1)), piece);
  const auto plain = berth::image::Decompressor::Open(source);
  if (!plain.ok()) return false;
  for (size_t all = 0; all < kMaxPlain;) {
    const auto part = (*plain)->Next();
    if (!part.ok()) return false;
    if (part->empty()) return true;
    all += part->size();
  }
  return false;
}
