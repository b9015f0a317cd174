#include "base/sys/user.h"

#include "base/strings.h"

namespace berth {
namespace {

// Calls `visit` with the fields of each line until it returns true.
template <typename Visit>
void ForEachLine(std::string_view text, size_t field_count, Visit visit) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? "" : text.substr(end + 1);
    if (line.empty() || line[0] == '#') continue;
    const std::vector<std::string> fields = Split(line, ':');
    if (fields.size() >= field_count && visit(fields)) return;
  }
}

template <typename Match>
std::optional<PasswdEntry> FindUserIf(std::string_view passwd, Match match) {
  std::optional<PasswdEntry> found;
  ForEachLine(passwd, 6, [&](const std::vector<std::string>& fields) {
    const auto uid = ParseId(fields[2]);
    const auto gid = ParseId(fields[3]);
    if (!uid || !gid) return false;
    PasswdEntry entry{fields[0], *uid, *gid, fields[5]};
    if (!match(entry)) return false;
    found = std::move(entry);
    return true;
  });
  return found;
}

std::vector<std::string> MembersOf(const std::vector<std::string>& fields) {
  return fields.size() > 3 ? Split(fields[3], ',') : std::vector<std::string>();
}

}  // namespace

std::optional<PasswdEntry> FindUser(std::string_view passwd, uid_t uid) {
  return FindUserIf(passwd,
                    [uid](const PasswdEntry& e) { return e.uid == uid; });
}

std::optional<PasswdEntry> FindUser(std::string_view passwd,
                                    std::string_view name) {
  return FindUserIf(passwd,
                    [name](const PasswdEntry& e) { return e.name == name; });
}

std::optional<GroupEntry> FindGroup(std::string_view group,
                                    std::string_view name) {
  std::optional<GroupEntry> found;
  ForEachLine(group, 3, [&](const std::vector<std::string>& fields) {
    const auto gid = ParseId(fields[2]);
    if (!gid || fields[0] != name) return false;
    found = GroupEntry{fields[0], *gid, MembersOf(fields)};
    return true;
  });
  return found;
}

std::vector<gid_t> GroupsOfMember(std::string_view group,
                                  std::string_view user) {
  std::vector<gid_t> groups;
  ForEachLine(group, 4, [&](const std::vector<std::string>& fields) {
    const auto gid = ParseId(fields[2]);
    if (!gid) return false;
    for (const std::string& member : MembersOf(fields)) {
      if (member == user) {
        groups.push_back(*gid);
        break;
      }
    }
    return false;
  });
  return groups;
}

std::optional<uint32_t> ParseId(std::string_view text) {
  if (text.empty() || text.size() > 10) return std::nullopt;
  uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  // 4294967295 is (uid_t)-1.
  if (value >= 0xffffffffu) return std::nullopt;
  return static_cast<uint32_t>(value);
}

}  // namespace berth
