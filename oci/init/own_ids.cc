#include "oci/init/own_ids.h"

#include <unistd.h>

#include <algorithm>
#include <optional>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/user.h"

namespace berth::oci {
namespace {

constexpr uint64_t kMaxMapBytes = 64 << 10;

// Of who has no name, or no file, none.
StatusOr<std::vector<IdSpan>> SpansOf(const char* file, uint32_t id) {
  const auto passwd = ReadFile("/etc/passwd", kMaxUserFileBytes);
  const auto user =
      passwd.ok() ? FindUser(*passwd, geteuid()) : std::optional<PasswdEntry>();
  const auto text = ReadFile(file, kMaxUserFileBytes);
  if (IsNotFound(text.status())) return std::vector<IdSpan>();
  RETURN_IF_ERROR(text.status());
  return SubordinateIds(*text, user ? user->name : "", id);
}

StatusOr<std::vector<IdMapping>> OwnIds(const char* map, const char* spans,
                                        uint32_t own, uint32_t inside) {
  if (geteuid() == 0) {
    ASSIGN_OR_RETURN(const std::string text, ReadFile(map, kMaxMapBytes));
    return MapToThemselves(text);
  }
  ASSIGN_OR_RETURN(const std::vector<IdSpan> others, SpansOf(spans, geteuid()));
  return MapAround(inside, own, others);
}

std::vector<std::string> Words(std::string_view line) {
  std::vector<std::string> words = Split(std::string(line), ' ');
  std::erase(words, "");
  return words;
}

}  // namespace

std::vector<IdSpan> SubordinateIds(std::string_view text, std::string_view name,
                                   uint32_t id) {
  std::vector<IdSpan> spans;
  for (const std::string& line : Split(std::string(text), '\n')) {
    const std::vector<std::string> fields = Split(line, ':');
    if (fields.size() != 3) continue;
    const bool named = !name.empty() && fields[0] == name;
    if (!named && ParseId(fields[0]) != id) continue;
    const auto first = ParseId(fields[1]);
    const auto count = ParseId(std::string(Trim(fields[2])));
    if (!first || count.value_or(0) == 0) continue;
    if (*count > UINT32_MAX - *first) continue;
    spans.push_back({*first, *count});
  }
  return spans;
}

std::vector<IdMapping> MapAround(uint32_t inside, uint32_t own,
                                 const std::vector<IdSpan>& others) {
  std::vector<IdMapping> below;
  std::vector<IdMapping> above;
  uint32_t next = 0;
  for (IdSpan span : others) {
    if (next < inside) {
      const uint32_t taken = std::min(span.count, inside - next);
      below.push_back({next, span.first, taken});
      next += taken;
      span.first += taken;
      span.count -= taken;
    }
    if (span.count == 0) continue;
    const uint32_t from = std::max(next, inside + 1);
    if (span.count > UINT32_MAX - from) break;
    above.push_back({from, span.first, span.count});
    next = from + span.count;
  }
  below.push_back({inside, own, 1});
  below.insert(below.end(), above.begin(), above.end());
  return below;
}

std::vector<IdMapping> MapToThemselves(std::string_view own_map) {
  std::vector<IdMapping> mappings;
  for (const std::string& line : Split(std::string(own_map), '\n')) {
    const std::vector<std::string> fields = Words(line);
    if (fields.size() != 3) continue;
    const auto inside = ParseUint(fields[0]);
    const auto count = ParseUint(fields[2]);
    if (!inside || !count || *inside > UINT32_MAX || *count > UINT32_MAX) {
      continue;
    }
    const auto id = static_cast<uint32_t>(*inside);
    mappings.push_back({id, id, static_cast<uint32_t>(*count)});
  }
  return mappings;
}

Status FillIdMappings(const User& user, Linux& linux) {
  if (linux.uid_mappings.empty()) {
    ASSIGN_OR_RETURN(
        linux.uid_mappings,
        OwnIds("/proc/self/uid_map", "/etc/subuid", geteuid(), user.uid));
  }
  if (linux.gid_mappings.empty()) {
    ASSIGN_OR_RETURN(
        linux.gid_mappings,
        OwnIds("/proc/self/gid_map", "/etc/subgid", getegid(), user.gid));
  }
  return OkStatus();
}

}  // namespace berth::oci
