#include "sandbox/spec/user.h"

#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/strings.h"
#include "base/sys/user.h"

namespace berth::sandbox {
namespace {

using ::berth::state::v1::ContainerSecurity;

struct Files {
  std::string_view passwd;
  std::string_view group;
};

bool IsNumber(std::string_view text) {
  return !text.empty() &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

StatusOr<uint32_t> CheckId(int64_t id, const std::string& field) {
  if (id < 0 || id >= INT64_C(0xffffffff)) {
    return InvalidArgument(field + " " + std::to_string(id) +
                           ": not an id of 0 to 4294967294");
  }
  return static_cast<uint32_t>(id);
}

// A uid, with what passwd knows of it.
struct Account {
  uint32_t uid = 0;
  std::optional<PasswdEntry> entry;
};

StatusOr<Account> FindAccount(std::string_view user, const Files& files) {
  Account account;
  if (IsNumber(user)) {
    const std::optional<uint32_t> uid = ParseId(user);
    if (!uid) return InvalidArgument("user " + Quoted(user) + ": out of range");
    account.uid = *uid;
    account.entry = FindUser(files.passwd, static_cast<uid_t>(*uid));
    return account;
  }
  account.entry = FindUser(files.passwd, user);
  if (!account.entry) {
    return InvalidArgument("user " + Quoted(user) +
                           ": not in the container's /etc/passwd");
  }
  account.uid = account.entry->uid;
  return account;
}

// The groups of /etc/group by name, read once: a request may name thousands.
class GroupIds {
 public:
  explicit GroupIds(std::string_view file) : file_(file) {}

  StatusOr<uint32_t> Find(std::string_view group) {
    if (IsNumber(group)) {
      const std::optional<uint32_t> gid = ParseId(group);
      if (gid) return *gid;
      return InvalidArgument("group " + Quoted(group) + ": out of range");
    }
    if (!ids_) ids_ = Read(file_);
    const auto found = ids_->find(std::string(group));
    if (found != ids_->end()) return found->second;
    return InvalidArgument("group " + Quoted(group) +
                           ": not in the container's /etc/group");
  }

 private:
  using Ids = std::unordered_map<std::string, uint32_t>;

  // "name:password:id:members"; of two with one name the first counts.
  static Ids Read(std::string_view file) {
    Ids ids;
    for (const std::string& line : Split(file, '\n')) {
      const std::vector<std::string> fields = Split(line, ':');
      if (fields.size() < 3) continue;
      const std::optional<uint32_t> gid = ParseId(fields[2]);
      if (gid) ids.try_emplace(fields[0], *gid);
    }
    return ids;
  }

  const std::string_view file_;
  std::optional<Ids> ids_;
};

// What was asked for, as text "user[:group]"; the request's fields first.
StatusOr<std::string> Wanted(const ContainerSecurity& security,
                             std::string_view image_user) {
  const int given = security.has_run_as_user() +
                    !security.run_as_username().empty() +
                    !security.user().empty();
  if (given > 1) {
    return InvalidArgument(
        "user: more than one of run_as_user, "
        "run_as_username and user is set");
  }
  if (security.has_run_as_group() && given == 0) {
    return InvalidArgument("run_as_group: set without a user");
  }
  if (security.has_run_as_user()) {
    ASSIGN_OR_RETURN(const uint32_t uid,
                     CheckId(security.run_as_user(), "run_as_user"));
    return std::to_string(uid);
  }
  if (!security.run_as_username().empty()) return security.run_as_username();
  if (!security.user().empty()) return security.user();
  return std::string(image_user);
}

// Each id once, in the order in which they came.
class Groups {
 public:
  void Append(uint32_t gid) {
    if (known_.insert(gid).second) list_.push_back(gid);
  }
  const std::vector<uint32_t>& list() const { return list_; }

 private:
  std::vector<uint32_t> list_;
  std::unordered_set<uint32_t> known_;
};

}  // namespace

StatusOr<ResolvedUser> ResolveUser(const ContainerSecurity& security,
                                   std::string_view image_user,
                                   std::string_view passwd,
                                   std::string_view group) {
  const Files files{passwd, group};
  GroupIds group_ids(group);
  ASSIGN_OR_RETURN(std::string wanted, Wanted(security, image_user));
  if (wanted.empty()) wanted = "0";
  const size_t colon = wanted.find(':');
  const std::string name = wanted.substr(0, colon);
  ASSIGN_OR_RETURN(const Account account,
                   FindAccount(name.empty() ? "0" : name, files));

  uint32_t gid = account.entry ? account.entry->gid : 0;
  const bool named_group =
      colon != std::string::npos && colon + 1 < wanted.size();
  if (security.has_run_as_group()) {
    ASSIGN_OR_RETURN(gid, CheckId(security.run_as_group(), "run_as_group"));
  } else if (named_group) {
    ASSIGN_OR_RETURN(gid, group_ids.Find(wanted.substr(colon + 1)));
  }

  Groups groups;
  groups.Append(gid);
  for (const int64_t extra : security.supplemental_groups()) {
    ASSIGN_OR_RETURN(const uint32_t id, CheckId(extra, "supplemental_groups"));
    groups.Append(id);
  }
  for (const std::string& extra : security.supplemental_group_names()) {
    ASSIGN_OR_RETURN(const uint32_t id, group_ids.Find(extra));
    groups.Append(id);
  }
  // An image that says "user:group" means that group and no other.
  const bool merge =
      security.groups_policy() == state::v1::GROUPS_POLICY_MERGE &&
      !named_group;
  if (merge && account.entry) {
    for (const gid_t id : GroupsOfMember(group, account.entry->name)) {
      groups.Append(id);
    }
  }

  ResolvedUser resolved;
  resolved.ids.set_uid(account.uid);
  resolved.ids.set_gid(gid);
  for (const uint32_t id : groups.list()) {
    resolved.ids.add_supplemental_groups(id);
  }
  resolved.home = account.entry && StartsWith(account.entry->home, "/")
                      ? account.entry->home
                      : "/";
  return resolved;
}

StatusOr<ResolvedUser> ResolveUserText(std::string_view user,
                                       std::string_view passwd,
                                       std::string_view group) {
  ContainerSecurity security;
  security.set_user(std::string(user));
  return ResolveUser(security, "", passwd, group);
}

}  // namespace berth::sandbox
