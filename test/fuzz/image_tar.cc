// A layer's archive: ustar, GNU and pax headers.
#include <string>

#include "image/layer/layer_reader.h"
#include "image/layer/tar_builder.h"
#include "test/fuzz/driver/fuzz_target.h"

namespace {

using berth::image::LayerEntry;
using berth::image::LayerReader;
using berth::image::TarBuilder;

// Headers that were changed get the checksum that they need to be read.
std::string WithChecksums(std::string tar) {
  for (size_t at = 0; at + 512 <= tar.size(); at += 512) {
    if (tar.compare(at + 257, 5, "ustar") != 0) continue;
    tar.replace(at, 512, TarBuilder::WithChecksum(tar.substr(at, 512)));
  }
  return tar;
}

void CheckEntry(const LayerEntry& entry) {
  for (const std::string& path : {entry.path, entry.link}) {
    FUZZ_CHECK(path.find('\0') == std::string::npos);
  }
  FUZZ_CHECK(("/" + entry.path + "/").find("/../") == std::string::npos);
  FUZZ_CHECK(entry.path.empty() || entry.path[0] != '/');
  uint64_t end = 0;
  for (const LayerEntry::Segment& segment : entry.segments) {
    FUZZ_CHECK(segment.offset >= end);
    end = segment.offset + segment.length;
    FUZZ_CHECK(end >= segment.offset);
  }
  FUZZ_CHECK(end <= entry.size);
}

}  // namespace

FUZZ_TARGET(bytes) {
  berth::image::StringSource source(WithChecksums(std::string(bytes)), 300);
  LayerReader reader(source);
  for (size_t entries = 0;; ++entries) {
    const auto entry = reader.Next();
    if (!entry.ok()) return false;
    if (!entry->has_value()) return entries > 0 && reader.Drain().ok();
    CheckEntry(**entry);
    // Every other content is skipped.
    if (entries % 2 == 1) continue;
    for (uint64_t content = 0;;) {
      const auto part = reader.Data();
      if (!part.ok()) return false;
      if (part->empty()) break;
      content += part->size();
      FUZZ_CHECK(content <= bytes.size());
    }
  }
}
