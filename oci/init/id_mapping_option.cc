#include "oci/init/id_mapping_option.h"

#include <optional>
#include <vector>

#include "base/strings.h"
#include "oci/init/id_map.h"

namespace berth::oci {
namespace {

constexpr size_t kMaxRanges = 340;  // lines of uid_map (user_namespaces(7))

Status Wrong(const std::string& text) {
  return InvalidArgument("idmap=" + text +
                         ": not of the form uids=0-1-10;gids=0-1-10");
}

std::optional<IdRange> ParseRange(std::string text,
                                  const std::vector<IdMapping>& own) {
  const bool relative = StartsWith(text, "@");
  if (relative) text.erase(0, 1);
  const std::vector<std::string> fields = Split(text, '-');
  if (fields.size() != 3) return std::nullopt;
  std::vector<uint32_t> numbers;
  for (const std::string& field : fields) {
    const auto number = ParseUint(field);
    if (!number || *number > UINT32_MAX) return std::nullopt;
    numbers.push_back(static_cast<uint32_t>(*number));
  }
  IdRange range = {numbers[0], numbers[1], numbers[2]};
  if (relative) {
    const auto host = ToHostId(own, range.outside);
    if (!host) return std::nullopt;
    range.outside = *host;
  }
  if (range.size == 0) return std::nullopt;
  return range;
}

}  // namespace

StatusOr<IdMaps> ParseIdMapping(const std::string& text, const Linux& linux) {
  IdMaps maps;
  for (const std::string& part : Split(text, ';')) {
    const bool users = StartsWith(part, "uids=");
    if (!users && !StartsWith(part, "gids=")) return Wrong(text);
    std::vector<IdRange>& ranges = users ? maps.uids : maps.gids;
    for (const std::string& one : Split(part.substr(5), '#')) {
      const auto range =
          ParseRange(one, users ? linux.uid_mappings : linux.gid_mappings);
      if (!range || ranges.size() >= kMaxRanges) return Wrong(text);
      ranges.push_back(*range);
    }
  }
  if (maps.uids.empty() || maps.gids.empty()) return Wrong(text);
  return maps;
}

}  // namespace berth::oci
