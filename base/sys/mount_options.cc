#include "base/sys/mount_options.h"

#include <linux/mount.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string_view>

// After linux/mount.h: the two define the same constants, and <sys/mount.h>
// gives way.
#include <sys/mount.h>

namespace berth {
namespace {

struct Attribute {
  std::string_view name;
  uint64_t set;
  uint64_t clear;
};

// The plain form acts on the mount itself, the same name after an "r" on the
// whole tree below (OCI runtime specification, config-linux.md, and runc).
constexpr Attribute kAttributes[] = {
    {"ro", MOUNT_ATTR_RDONLY, 0},
    {"rw", 0, MOUNT_ATTR_RDONLY},
    {"nosuid", MOUNT_ATTR_NOSUID, 0},
    {"suid", 0, MOUNT_ATTR_NOSUID},
    {"nodev", MOUNT_ATTR_NODEV, 0},
    {"dev", 0, MOUNT_ATTR_NODEV},
    {"noexec", MOUNT_ATTR_NOEXEC, 0},
    {"exec", 0, MOUNT_ATTR_NOEXEC},
    {"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    {"diratime", 0, MOUNT_ATTR_NODIRATIME},
    {"noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME},
    {"atime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    {"relatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    {"norelatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    {"strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME},
    {"nostrictatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0},
    {"symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW},
};

struct Propagation {
  std::string_view name;
  unsigned long flag;
};

constexpr Propagation kPropagation[] = {
    {"private", MS_PRIVATE},       {"rprivate", MS_PRIVATE | MS_REC},
    {"shared", MS_SHARED},         {"rshared", MS_SHARED | MS_REC},
    {"slave", MS_SLAVE},           {"rslave", MS_SLAVE | MS_REC},
    {"unbindable", MS_UNBINDABLE}, {"runbindable", MS_UNBINDABLE | MS_REC},
};

struct Superblock {
  std::string_view name;
  std::string_view flag;  // empty: takes `without` away again
  std::string_view without;
};

constexpr Superblock kSuperblock[] = {
    {"sync", "sync", ""},           {"async", "", "sync"},
    {"dirsync", "dirsync", ""},     {"mand", "mand", ""},
    {"nomand", "", "mand"},         {"lazytime", "lazytime", ""},
    {"nolazytime", "", "lazytime"}, {"iversion", "iversion", ""},
    {"noiversion", "", "iversion"}, {"silent", "silent", ""},
    {"loud", "", "silent"},
};

struct Switch {
  std::string_view name;
  void (*apply)(MountOptions&);
};

constexpr Switch kSwitches[] = {
    {"defaults", [](MountOptions&) {}},
    {"bind", [](MountOptions& o) { o.bind = true; }},
    {"rbind", [](MountOptions& o) { o.bind = o.recursive = true; }},
    {"remount", [](MountOptions& o) { o.remount = true; }},
    {"tmpcopyup", [](MountOptions& o) { o.copy_up = true; }},
    {"src-nofollow", [](MountOptions& o) { o.source_nofollow = true; }},
    {"dest-nofollow", [](MountOptions& o) { o.target_nofollow = true; }},
    {"copy-symlink", [](MountOptions& o) { o.copy_symlink = true; }},
    {"idmap", [](MountOptions& o) { o.id_mapped = true; }},
    {"ridmap", [](MountOptions& o) { o.id_mapped = o.id_mapped_tree = true; }},
};

void Merge(const Attribute& attribute, MountAttributes& into) {
  into.set &= ~(attribute.clear | attribute.set);
  into.clear &= ~attribute.set;
  into.set |= attribute.set;
  into.clear |= attribute.clear;
}

bool ApplyAttribute(std::string_view name, MountOptions& result) {
  for (const Attribute& a : kAttributes) {
    if (name == a.name) {
      Merge(a, result.top);
      if (a.name == "ro" || a.name == "rw") result.read_only = a.name == "ro";
      return true;
    }
    if (name.size() > 1 && name[0] == 'r' && name.substr(1) == a.name) {
      Merge(a, result.tree);
      return true;
    }
  }
  return false;
}

bool ApplyOther(std::string_view name, MountOptions& result) {
  for (const std::string_view word : {"idmap=", "ridmap="}) {
    if (name.substr(0, word.size()) != word) continue;
    result.id_mapped = true;
    result.id_mapped_tree = word[0] == 'r';
    result.id_mapping = name.substr(word.size());
    return true;
  }
  for (const Switch& s : kSwitches) {
    if (name == s.name) return s.apply(result), true;
  }
  for (const Propagation& p : kPropagation) {
    if (name == p.name) return result.propagation.push_back(p.flag), true;
  }
  for (const Superblock& s : kSuperblock) {
    if (name != s.name) continue;
    std::erase(result.superblock, s.flag.empty() ? s.without : s.flag);
    if (!s.flag.empty()) result.superblock.emplace_back(s.flag);
    return true;
  }
  return false;
}

}  // namespace

MountOptions ParseMountOptions(const std::vector<std::string>& options) {
  MountOptions result;
  for (const std::string& option : options) {
    if (option.empty()) continue;
    if (ApplyOther(option, result) || ApplyAttribute(option, result)) continue;
    result.data.push_back(option);
  }
  return result;
}

std::string MountData(const std::vector<std::string>& data) {
  constexpr std::string_view kLabel = "context=";
  std::string text;
  for (const std::string& option : data) {
    if (!text.empty()) text += ",";
    if (option.starts_with(kLabel)) {
      text += std::string(kLabel) + "\"" + option.substr(kLabel.size()) + "\"";
    } else {
      text += option;
    }
  }
  return text;
}

std::vector<std::string> KnownMountOptions() {
  std::vector<std::string> names;
  for (const Attribute& a : kAttributes) {
    names.emplace_back(a.name);
    names.push_back("r" + std::string(a.name));
  }
  for (const Switch& s : kSwitches) names.emplace_back(s.name);
  for (const Propagation& p : kPropagation) names.emplace_back(p.name);
  for (const Superblock& s : kSuperblock) names.emplace_back(s.name);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace berth
