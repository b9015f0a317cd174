#include "sandbox/spec/user.h"

#include <algorithm>
#include <optional>
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

StatusOr<uint32_t> FindGroupId(std::string_view group, const Files& files) {
  if (IsNumber(group)) {
    const std::optional<uint32_t> gid = ParseId(group);
    if (!gid) {
      return InvalidArgument("group " + Quoted(group) + ": out of range");
    }
    return *gid;
  }
  const std::optional<GroupEntry> entry = FindGroup(files.group, group);
  if (!entry) {
    return InvalidArgument("group " + Quoted(group) +
                           ": not in the container's /etc/group");
  }
  return static_cast<uint32_t>(entry->gid);
}

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

void Append(std::vector<uint32_t>& groups, uint32_t gid) {
  if (std::find(groups.begin(), groups.end(), gid) == groups.end()) {
    groups.push_back(gid);
  }
}

}  // namespace

StatusOr<ResolvedUser> ResolveUser(const ContainerSecurity& security,
                                   std::string_view image_user,
                                   std::string_view passwd,
                                   std::string_view group) {
  const Files files{passwd, group};
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
    ASSIGN_OR_RETURN(gid, FindGroupId(wanted.substr(colon + 1), files));
  }

  std::vector<uint32_t> groups;
  Append(groups, gid);
  for (const int64_t extra : security.supplemental_groups()) {
    ASSIGN_OR_RETURN(const uint32_t id, CheckId(extra, "supplemental_groups"));
    Append(groups, id);
  }
  for (const std::string& extra : security.supplemental_group_names()) {
    ASSIGN_OR_RETURN(const uint32_t id, FindGroupId(extra, files));
    Append(groups, id);
  }
  // An image that says "user:group" means that group and no other.
  const bool merge =
      security.groups_policy() == state::v1::GROUPS_POLICY_MERGE &&
      !named_group;
  if (merge && account.entry) {
    for (const gid_t id : GroupsOfMember(group, account.entry->name)) {
      Append(groups, id);
    }
  }

  ResolvedUser resolved;
  resolved.ids.set_uid(account.uid);
  resolved.ids.set_gid(gid);
  for (const uint32_t id : groups) resolved.ids.add_supplemental_groups(id);
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
