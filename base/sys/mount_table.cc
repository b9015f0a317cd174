#include "base/sys/mount_table.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "base/strings.h"

namespace berth {
namespace {

std::string Unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const std::string_view digits = text.substr(i + 1, 3);
    if (text[i] == '\\' && digits.size() == 3 &&
        digits.find_first_not_of("01234567") == std::string_view::npos) {
      plain += static_cast<char>((digits[0] - '0') * 64 +
                                 (digits[1] - '0') * 8 + (digits[2] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

}  // namespace

std::optional<MountEntry> ParseMountEntry(std::string_view line) {
  const std::vector<std::string> words = Split(line, ' ');
  if (words.size() < 8) return std::nullopt;
  const auto dash = std::find(words.begin() + 6, words.end(), "-");
  const auto after = static_cast<size_t>(words.end() - dash);
  if (after < 2) return std::nullopt;
  MountEntry entry;
  entry.root = Unescape(words[3]);
  entry.point = Unescape(words[4]);
  entry.tags.assign(words.begin() + 6, dash);
  entry.type = *(dash + 1);
  if (after > 2) entry.source = Unescape(*(dash + 2));
  if (after > 3) entry.options = *(dash + 3);
  return entry;
}

std::vector<MountEntry> ParseMountTable(std::string_view text) {
  std::vector<MountEntry> entries;
  for (const std::string& line : Split(text, '\n')) {
    auto entry = ParseMountEntry(line);
    if (entry) entries.push_back(*std::move(entry));
  }
  return entries;
}

}  // namespace berth
