#include "sandbox/spec/devices.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <memory>
#include <set>

#include "base/fs/foreign_path.h"
#include "base/strings.h"
#include "sandbox/spec/mounts.h"

namespace berth::sandbox {
namespace {

// Directories nest this deep at most below /dev.
constexpr int kMaxDepth = 8;

bool IsDevice(const struct stat& info) {
  return S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode);
}

oci::DeviceNode NodeOf(const struct stat& info, const std::string& path) {
  oci::DeviceNode node;
  node.path = path;
  node.type = S_ISBLK(info.st_mode) ? 'b' : 'c';
  node.major = major(info.st_rdev);
  node.minor = minor(info.st_rdev);
  node.file_mode = info.st_mode & 07777;
  node.uid = info.st_uid;
  node.gid = info.st_gid;
  return node;
}

oci::DeviceRule RuleOf(const oci::DeviceNode& node, const std::string& access) {
  oci::DeviceRule rule;
  rule.allow = true;
  rule.type = node.type;
  rule.major = node.major;
  rule.minor = node.minor;
  rule.access = access;
  return rule;
}

std::vector<std::string> NamesIn(const std::string& path) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(path.c_str()),
                                                closedir);
  if (!dir) return names;
  while (const dirent* entry = readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// No device is there, and looking might not end.
bool IsForeign(const std::string& path) {
  const StatusOr<std::string> mount = ForeignMountOf(path);
  return !mount.ok() || !mount->empty();
}

struct FoundNode {
  oci::DeviceNode node;
  std::string host_path;
};

// All nodes of a directory of the host, as nodes below another one.
void NodesBelow(const std::string& host, const std::string& container,
                int depth, std::vector<FoundNode>& nodes) {
  // What a container gets fresh, or has no use for.
  static const std::set<std::string> kSkipped = {
      "pts",  "shm",  "fd",  "mqueue", "console", "null",
      "zero", "full", "tty", "ptmx",   "random",  "urandom"};
  if (depth > kMaxDepth) return;
  for (const std::string& name : NamesIn(host)) {
    if (depth == 0 && kSkipped.count(name) > 0) continue;
    struct stat info;
    const std::string path = host + "/" + name;
    if (IsForeign(path)) continue;
    if (lstat(path.c_str(), &info) != 0) continue;
    if (S_ISDIR(info.st_mode)) {
      NodesBelow(path, container + "/" + name, depth + 1, nodes);
    } else if (IsDevice(info)) {
      nodes.push_back({NodeOf(info, container + "/" + name), path});
    }
  }
}

Status CheckAccess(const std::string& access) {
  if (!access.empty() && access.find_first_not_of("rwm") == std::string::npos) {
    return OkStatus();
  }
  return InvalidArgument("device permissions " + Quoted(access) +
                         ": not of \"rwm\"");
}

// "*" or a number.
bool ParseNumber(const std::string& text, std::optional<int64_t>& number) {
  if (text == "*") return true;
  number = ParseInt(text);
  return number.has_value() && *number >= 0;
}

}  // namespace

StatusOr<oci::DeviceRule> ParseDeviceRule(const std::string& text) {
  const Status wrong =
      InvalidArgument("device rule " + Quoted(text) +
                      ": not of the form \"TYPE MAJOR:MINOR ACCESS\"");
  const std::vector<std::string> words = Split(text, ' ');
  if (words.size() != 3 || words[0].size() != 1) return wrong;
  const std::vector<std::string> numbers = Split(words[1], ':');
  oci::DeviceRule rule;
  rule.allow = true;
  rule.type = words[0][0];
  rule.access = words[2];
  if (rule.type != 'a' && rule.type != 'b' && rule.type != 'c') return wrong;
  if (numbers.size() != 2 || !ParseNumber(numbers[0], rule.major) ||
      !ParseNumber(numbers[1], rule.minor)) {
    return wrong;
  }
  RETURN_IF_ERROR(CheckAccess(rule.access));
  return rule;
}

StatusOr<DeviceSet> RequestedDevices(const Context& ctx,
                                     const state::v1::ContainerConfig& config) {
  DeviceSet set;
  for (const auto& device : config.devices()) {
    const std::string& host = device.host_path();
    const std::string& container =
        device.container_path().empty() ? host : device.container_path();
    const std::string access =
        device.permissions().empty() ? "rwm" : device.permissions();
    RETURN_IF_ERROR(CheckAccess(access));
    if (!StartsWith(container, "/")) {
      return InvalidArgument("device container_path " + Quoted(container) +
                             ": not absolute");
    }
    ASSIGN_OR_RETURN_AS(const PathFacts found, InspectPath(ctx, host),
                        "stat device");
    const struct stat& info = found.info;
    std::vector<FoundNode> nodes;
    if (S_ISDIR(info.st_mode)) {
      if (IsForeign(found.path)) {
        return InvalidArgument("device folder " + Quoted(host) +
                               ": on a foreign file system");
      }
      NodesBelow(host, container, 1, nodes);
    } else if (IsDevice(info)) {
      nodes.push_back({NodeOf(info, container), host});
    } else {
      return InvalidArgument("device " + Quoted(host) + ": not a device");
    }
    for (FoundNode& found_node : nodes) {
      oci::DeviceNode& node = found_node.node;
      set.rules.push_back(RuleOf(node, access));
      if (node.path != found_node.host_path) {
        set.elsewhere[node.path] = found_node.host_path;
      } else {
        set.elsewhere.erase(node.path);
      }
      set.nodes.push_back(std::move(node));
    }
  }
  for (const std::string& text : config.device_rules()) {
    ASSIGN_OR_RETURN(oci::DeviceRule rule, ParseDeviceRule(text));
    set.rules.push_back(std::move(rule));
  }
  return set;
}

void BindElsewhere(const std::map<std::string, std::string>& elsewhere,
                   oci::Spec& spec) {
  if (elsewhere.empty() ||
      spec.linux.Find(oci::NamespaceType::kUser) == nullptr) {
    return;
  }
  std::erase_if(spec.linux.devices, [&](const oci::DeviceNode& node) {
    return elsewhere.count(node.path) > 0;
  });
  std::vector<oci::MountSpec> mounts;
  for (const auto& [path, host] : elsewhere) {
    oci::MountSpec mount;
    mount.destination = path;
    mount.type = "bind";
    mount.source = host;
    mount.options = {"bind", "rprivate", "nosuid", "noexec"};
    mounts.push_back(std::move(mount));
  }
  spec.mounts = MergeMounts(std::move(spec.mounts), mounts);
}

DeviceSet HostDevices(const std::string& dev) {
  DeviceSet set;
  std::vector<FoundNode> found;
  NodesBelow(dev, "/dev", 0, found);
  for (FoundNode& one : found) set.nodes.push_back(std::move(one.node));
  oci::DeviceRule all;
  all.allow = true;
  set.rules.push_back(all);
  return set;
}

}  // namespace berth::sandbox
