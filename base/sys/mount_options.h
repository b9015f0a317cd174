// The options of a mount, "ro,nosuid,size=64k", sorted by what they act on.
#ifndef BASE_SYS_MOUNT_OPTIONS_H_
#define BASE_SYS_MOUNT_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace berth {

// What mount_setattr(2) is told: bits of MOUNT_ATTR_*. A bit is in at most one
// of the two; the access-time field is cleared as a whole before it is set.
struct MountAttributes {
  uint64_t set = 0;
  uint64_t clear = 0;

  bool empty() const { return set == 0 && clear == 0; }
  bool operator==(const MountAttributes&) const = default;
};

// Later options win over earlier ones.
struct MountOptions {
  bool bind = false;
  bool recursive = false;  // rbind
  bool remount = false;
  bool read_only = false;  // "ro" had the last word
  MountAttributes top;     // of the mount itself
  MountAttributes tree;    // "rro" and its like: of all mounts below too
  // MS_SHARED and its like, with MS_REC where the name began with r; in order.
  std::vector<unsigned long> propagation;
  // Flags of the file system itself, for fsconfig(2): "sync", "dirsync".
  std::vector<std::string> superblock;
  // What the file system understands: "size=64k", "newinstance".
  std::vector<std::string> data;
  bool copy_up = false;         // tmpcopyup
  bool id_mapped = false;       // idmap
  std::string id_mapping;       // what follows "idmap="
  bool id_mapped_tree = false;  // ridmap

  // A source or destination that is a link itself is not followed; a source
  // that is one is made again at the destination, in place of a mount.
  bool source_nofollow = false;  // src-nofollow
  bool target_nofollow = false;  // dest-nofollow
  bool copy_symlink = false;     // copy-symlink

  bool operator==(const MountOptions&) const = default;
};

// Unknown options are data. Pure.
MountOptions ParseMountOptions(const std::vector<std::string>& options);

// Data as mount(2) takes it: a label of SELinux holds commas itself and is
// quoted ("context", mount(8)). fsconfig(2) takes it as it is. Pure.
std::string MountData(const std::vector<std::string>& data);

// Every option that is not data, sorted.
std::vector<std::string> KnownMountOptions();

}  // namespace berth

#endif  // BASE_SYS_MOUNT_OPTIONS_H_
