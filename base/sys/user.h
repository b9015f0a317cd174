// Users and groups as the text of /etc/passwd and /etc/group has them. Pure:
// the files of a container must be read within its root, and bounded, by the
// caller; never through the C library's lookups. Source: passwd(5), group(5).
#ifndef BASE_SYS_USER_H_
#define BASE_SYS_USER_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth {

// Callers read no more than this much of either file.
inline constexpr uint64_t kMaxUserFileBytes = 4 << 20;

struct PasswdEntry {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string home;

  bool operator==(const PasswdEntry&) const = default;
};

struct GroupEntry {
  std::string name;
  gid_t gid = 0;
  std::vector<std::string> members;

  bool operator==(const GroupEntry&) const = default;
};

// The first entry that fits; lines that are not well-formed are passed over.
std::optional<PasswdEntry> FindUser(std::string_view passwd, uid_t uid);
std::optional<PasswdEntry> FindUser(std::string_view passwd,
                                    std::string_view name);
std::optional<GroupEntry> FindGroup(std::string_view group,
                                    std::string_view name);
// The groups that list `user` as a member, in the file's order.
std::vector<gid_t> GroupsOfMember(std::string_view group,
                                  std::string_view user);

// A decimal id, digits alone, below 2^32 - 1 (which the kernel takes for
// "unchanged"); nothing for anything else.
std::optional<uint32_t> ParseId(std::string_view text);

}  // namespace berth

#endif  // BASE_SYS_USER_H_
