#include "sandbox/cdi/cdi_devices.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "base/fs/foreign_path.h"
#include "base/strings.h"
#include "base/sys/file.h"

namespace berth::sandbox {
namespace {

constexpr uint64_t kMaxFileBytes = 1 << 20;
constexpr uint64_t kMaxBytes = 16 << 20;
constexpr size_t kMaxFiles = 4096;
// In a message.
constexpr size_t kMaxNamed = 16;

std::string Listed(const std::vector<std::string>& items,
                   std::string_view separator) {
  if (items.size() <= kMaxNamed) return Join(items, separator);
  return Join({items.begin(), items.begin() + kMaxNamed}, separator) +
         std::string(separator) + "and " +
         std::to_string(items.size() - kMaxNamed) + " more";
}

// All that the folders describe. Single-threaded.
class Catalog {
 public:
  Status Read(const std::vector<std::string>& folders);
  // Unfinished: numbers of nodes may be missing.
  StatusOr<std::vector<CdiEdits>> Take(
      const std::vector<std::string>& names) const;
  const std::vector<std::string>& broken() const { return broken_; }

 private:
  struct Found {
    size_t folder = 0;
    std::shared_ptr<const CdiFile> file;
    std::string path;      // of the file
    std::string conflict;  // path of another file in the folder; empty: none
  };

  Status ReadFolder(size_t index, const std::string& folder);
  StatusOr<std::string> ReadOne(int folder, const std::string& name,
                                const std::string& path);
  void Add(size_t folder, const std::string& path, CdiFile file);
  std::string WhyNot(const std::string& name) const;

  std::vector<std::string> folders_;
  std::map<std::string, Found> devices_;  // by qualified name
  std::vector<std::string> broken_;       // what is wrong with each
  size_t files_ = 0;
  uint64_t bytes_ = 0;
};

Status Catalog::Read(const std::vector<std::string>& folders) {
  folders_ = folders;
  for (size_t i = 0; i < folders.size(); ++i) {
    if (!folders[i].empty()) RETURN_IF_ERROR(ReadFolder(i, folders[i]));
  }
  return OkStatus();
}

Status Catalog::ReadFolder(size_t index, const std::string& folder) {
  const StatusOr<UniqueFd> dir = OpenFile(folder, O_RDONLY | O_DIRECTORY);
  if (IsNotFound(dir.status())) return OkStatus();
  if (!dir.ok()) {
    broken_.push_back(Message(dir.status()));
    return OkStatus();
  }
  ASSIGN_OR_RETURN_AS(const std::vector<std::string> names,
                      ListDirectory(dir->get()), "CDI folder " + folder);
  for (const std::string& name : names) {
    const std::string path = folder + "/" + name;
    const bool is_yaml = EndsWith(name, ".yaml");
    if (!is_yaml && !EndsWith(name, ".json")) continue;
    if (++files_ > kMaxFiles || bytes_ > kMaxBytes) {
      return ResourceExhausted("CDI folder " + folder +
                               ": more than 4096 files or 16 MiB");
    }
    const StatusOr<std::string> text = ReadOne(dir->get(), name, path);
    if (!text.ok()) {
      broken_.push_back(Message(text.status()));
      continue;
    }
    bytes_ += text->size();
    StatusOr<CdiFile> file =
        is_yaml ? ParseCdiYaml(*text, path) : ParseCdiFile(*text, path);
    if (file.ok()) {
      Add(index, path, *std::move(file));
    } else {
      broken_.push_back(Message(file.status()));
    }
  }
  return OkStatus();
}

// Not blocked by a fifo.
StatusOr<std::string> Catalog::ReadOne(int folder, const std::string& name,
                                       const std::string& path) {
  ASSIGN_OR_RETURN(const UniqueFd file,
                   OpenFileAt(folder, name, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  ASSIGN_OR_RETURN(const struct stat info, StatFd(file.get()));
  if (!S_ISREG(info.st_mode)) {
    return InvalidArgument(path + ": not a regular file");
  }
  return ReadAll(file.get(), kMaxFileBytes, path);
}

void Catalog::Add(size_t folder, const std::string& path, CdiFile file) {
  const auto shared = std::make_shared<const CdiFile>(std::move(file));
  for (const auto& [name, edits] : shared->devices) {
    const auto [it, added] = devices_.try_emplace(
        shared->kind + "=" + name, Found{folder, shared, path, ""});
    if (added) continue;
    if (it->second.folder == folder) {
      it->second.conflict = path;
    } else {
      it->second = Found{folder, shared, path, ""};
    }
  }
}

std::string Catalog::WhyNot(const std::string& name) const {
  const auto it = devices_.find(name);
  if (it == devices_.end()) return "";
  return Quoted(name) + " is both in " + it->second.path + " and in " +
         it->second.conflict;
}

StatusOr<std::vector<CdiEdits>> Catalog::Take(
    const std::vector<std::string>& names) const {
  std::vector<CdiEdits> edits;
  std::vector<std::string> unresolvable;
  std::vector<std::string> reasons;
  std::set<std::string> taken;
  std::set<const CdiFile*> begun;
  for (const std::string& name : names) {
    if (!taken.insert(name).second) continue;
    const auto it = devices_.find(name);
    if (it == devices_.end() || !it->second.conflict.empty()) {
      unresolvable.push_back(name);
      const std::string reason = WhyNot(name);
      if (!reason.empty()) reasons.push_back(reason);
      continue;
    }
    const CdiFile& file = *it->second.file;
    if (begun.insert(&file).second) edits.push_back(file.edits);
    edits.push_back(file.devices.at(name.substr(file.kind.size() + 1)));
  }
  if (unresolvable.empty()) return edits;
  std::string message = "unresolvable CDI devices " +
                        Listed(unresolvable, ", ") + " in the files of " +
                        Join(folders_, ", ");
  reasons.insert(reasons.end(), broken_.begin(), broken_.end());
  if (!reasons.empty()) message += "; " + Listed(reasons, "; ");
  return InvalidArgument(message);
}

// What a file leaves to the host's node.
Status Complete(const Context& ctx, CdiNode& cdi) {
  oci::DeviceNode& node = cdi.node;
  if (node.type == 'p' || (node.type != 0 && node.major != 0)) {
    return OkStatus();
  }
  ASSIGN_OR_RETURN_AS(const PathFacts found, InspectPath(ctx, cdi.host_path),
                      "CDI device node");
  const mode_t mode = found.info.st_mode;
  const char type = S_ISBLK(mode)    ? 'b'
                    : S_ISCHR(mode)  ? 'c'
                    : S_ISFIFO(mode) ? 'p'
                                     : '\0';
  if (type == 0) {
    return InvalidArgument("CDI device node " + Quoted(cdi.host_path) +
                           ": not a device");
  }
  if (node.type == 0) node.type = type;
  if ((node.type == 'u' ? 'c' : node.type) != type) {
    return InvalidArgument("CDI device node " + Quoted(cdi.host_path) +
                           ": not of the type that its file says");
  }
  if (node.major == 0 && type != 'p') {
    node.major = major(found.info.st_rdev);
    node.minor = minor(found.info.st_rdev);
  }
  return OkStatus();
}

Status Complete(const Context& ctx, CdiEdits& edits) {
  for (CdiNode& node : edits.nodes) RETURN_IF_ERROR(Complete(ctx, node));
  for (const oci::MountSpec& mount : edits.mounts) {
    if (mount.type != "bind") continue;
    RETURN_IF_ERROR_AS(InspectPath(ctx, mount.source).status(), "CDI mount");
  }
  return OkStatus();
}

}  // namespace

StatusOr<std::vector<CdiEdits>> FindCdiDevices(
    const Context& ctx, const std::string& folders,
    const state::v1::ContainerConfig& config) {
  if (config.cdi_devices().empty()) return std::vector<CdiEdits>();
  Catalog catalog;
  RETURN_IF_ERROR(catalog.Read(Split(folders, ':')));
  ASSIGN_OR_RETURN(
      std::vector<CdiEdits> edits,
      catalog.Take({config.cdi_devices().begin(), config.cdi_devices().end()}));
  for (const std::string& why : catalog.broken()) {
    LOG(WARNING) << "CDI file that is not used: " << why;
  }
  for (CdiEdits& one : edits) RETURN_IF_ERROR(Complete(ctx, one));
  return edits;
}

}  // namespace berth::sandbox
