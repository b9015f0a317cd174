// Binds, Mounts, Tmpfs and volumes of a create request.
#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "docker/convert/create_request.h"
#include "docker/convert/names.h"

namespace berth::docker {
namespace {

using state::v1::Mount;

// "/a//b/../c/" -> "/a/c".
std::string CleanPath(const std::string& path) {
  std::string clean = std::filesystem::path(path).lexically_normal().string();
  if (clean.size() > 1 && clean.back() == '/') clean.pop_back();
  return clean;
}

class MountList {
 public:
  explicit MountList(CreateRequest& request) : request_(request) {}

  StatusOr<Mount*> Add(const std::string& target) {
    if (target.empty() || target.front() != '/') {
      return InvalidArgument("invalid mount path: '" + target +
                             "' mount path must be absolute");
    }
    const std::string clean = CleanPath(target);
    if (clean == "/") {
      return InvalidArgument(
          "invalid volume specification: destination can't "
          "be '/'");
    }
    if (!targets_.insert(clean).second) {
      return InvalidArgument("Duplicate mount point: " + clean);
    }
    Mount* mount = request_.container.add_mounts();
    mount->set_container_path(clean);
    return mount;
  }

  bool Has(const std::string& target) const {
    return targets_.count(CleanPath(target)) > 0;
  }

  CreateRequest& request() { return request_; }

  void UseVolume(VolumeUse use, Mount& mount) {
    if (use.name.empty()) {
      use.name = RandomId();
      use.anonymous = true;
    }
    mount.set_type(state::v1::MOUNT_TYPE_BIND);
    mount.set_volume(use.name);
    mount.set_copy_image_content(use.copy_image_content);
    use.mount = request_.container.mounts_size() - 1;
    request_.volumes.push_back(std::move(use));
  }

 private:
  CreateRequest& request_;
  std::set<std::string> targets_;
};

// Mounts that appear later pass a mount that is not private, so that this is
// read-only at its top alone.
Status SetPropagation(const std::string& text, Mount& mount) {
  std::string mode = text;
  mount.set_non_recursive(false);
  if (!mode.empty() && mode.front() == 'r') {
    mode.erase(0, 1);
  } else if (!mode.empty()) {
    mount.set_non_recursive(true);
  }
  if (mode.empty() || mode == "private") {
    mount.set_propagation(state::v1::MOUNT_PROPAGATION_PRIVATE);
  } else if (mode == "slave") {
    mount.set_propagation(state::v1::MOUNT_PROPAGATION_HOST_TO_CONTAINER);
  } else if (mode == "shared") {
    mount.set_propagation(state::v1::MOUNT_PROPAGATION_BIDIRECTIONAL);
  } else {
    return InvalidArgument("invalid propagation config: " + Quoted(text));
  }
  if (mount.propagation() != state::v1::MOUNT_PROPAGATION_PRIVATE) {
    mount.set_recursive_readonly(false);
  }
  return OkStatus();
}

bool IsPropagation(const std::string& word) {
  static const auto& words = *new std::set<std::string>{
      "private", "rprivate", "shared", "rshared", "slave", "rslave"};
  return words.count(word) > 0;
}

// With all that is mounted below it; SetPropagation may take that back.
void SetReadonly(bool readonly, Mount& mount) {
  mount.set_readonly(readonly);
  mount.set_recursive_readonly(readonly);
}

// Of each kind at most one word: they would say opposite things.
Status CheckMode(const std::string& mode) {
  std::map<std::string, int> kinds;
  for (const std::string& word : Split(mode, ',')) {
    const bool access = word == "ro" || word == "rw";
    const bool label = word == "z" || word == "Z";
    const std::string kind = IsPropagation(word) ? "propagation"
                             : access            ? "access"
                             : label             ? "label"
                                                 : word;
    if (!word.empty() && ++kinds[kind] > 1) {
      return InvalidArgument("invalid mode: " + mode);
    }
  }
  return OkStatus();
}

// SRC:DST[:OPTIONS]; SRC is a path of the host or a volume's name. DST alone
// is a volume without a name.
Status AddBind(const std::string& spec, MountList& mounts) {
  const std::vector<std::string> parts = Split(spec, ':');
  if (parts.size() == 1) {
    ASSIGN_OR_RETURN(Mount* const mount, mounts.Add(spec));
    mounts.UseVolume(VolumeUse(), *mount);
    return OkStatus();
  }
  if (parts.size() < 2 || parts.size() > 3 || parts[0].empty()) {
    return InvalidArgument("invalid volume specification: '" + spec + "'");
  }
  ASSIGN_OR_RETURN(Mount* const mount, mounts.Add(parts[1]));
  VolumeUse use;
  std::string propagation;
  const std::string mode = parts.size() == 3 ? parts[2] : "";
  RETURN_IF_ERROR(CheckMode(mode));
  for (const std::string& word : Split(mode, ',')) {
    if (word == "ro") {
      SetReadonly(true, *mount);
    } else if (word == "nocopy") {
      use.copy_image_content = false;
    } else if (word == "z" || word == "Z") {
      mount->set_selinux_relabel(true);
      mount->set_selinux_shared(word == "z");
    } else if (IsPropagation(word)) {
      propagation = word;
    } else if (!word.empty() && word != "rw" && word != "consistent" &&
               word != "cached" && word != "delegated") {
      return InvalidArgument("invalid mode: " + word);
    }
  }
  if (parts[0].front() == '/') {
    mount->set_type(state::v1::MOUNT_TYPE_BIND);
    mount->set_host_path(parts[0]);
    return SetPropagation(propagation, *mount);
  }
  RETURN_IF_ERROR(CheckName(parts[0], "volume"));
  if (!propagation.empty()) return InvalidArgument("invalid mode: " + spec);
  use.name = parts[0];
  mounts.UseVolume(std::move(use), *mount);
  return OkStatus();
}

// "size=64m,mode=1777,noexec": numbers to their fields, words kept.
Status SetTmpfsOptions(const std::string& options, Mount& mount) {
  std::set<std::string> words = {"noexec", "nosuid", "nodev"};
  for (const std::string& word : Split(options, ',')) {
    if (StartsWith(word, "size=")) {
      ASSIGN_OR_RETURN(const int64_t size, ParseBytes(word.substr(5), word));
      mount.set_tmpfs_size(size);
    } else if (StartsWith(word, "mode=")) {
      char* end = nullptr;
      const std::string digits = word.substr(5);
      const unsigned long mode = strtoul(digits.c_str(), &end, 8);
      if (digits.empty() || *end != '\0' || mode > 07777) {
        return InvalidArgument("invalid tmpfs option " + Quoted(word));
      }
      mount.set_tmpfs_mode(static_cast<uint32_t>(mode));
    } else if (word == "ro") {
      mount.set_readonly(true);
    } else if (word == "exec" || word == "suid" || word == "dev") {
      words.erase("no" + word);
      words.insert(word);
    } else if (!word.empty() && word != "rw" && words.count(word) == 0) {
      words.insert(word);
    }
  }
  for (const std::string& word : words) mount.add_options(word);
  return OkStatus();
}

Status AddTmpfs(const std::string& target, const std::string& options,
                MountList& mounts) {
  ASSIGN_OR_RETURN(Mount* const mount, mounts.Add(target));
  mount->set_type(state::v1::MOUNT_TYPE_TMPFS);
  return SetTmpfsOptions(options, *mount);
}

Status RefuseRest(const Json& json, const std::string& path,
                  const std::set<std::string>& known) {
  for (const auto& [key, value] : json.members()) {
    if (known.count(key) == 0 && !IsUnset(value)) {
      return Unimplemented(path + "." + key + " is not supported");
    }
  }
  return OkStatus();
}

Status SetImageMount(const std::string& image, const Json* options,
                     Mount& mount) {
  if (image.empty()) {
    return InvalidArgument(
        "invalid mount config for type \"image\": field Source must not be "
        "empty");
  }
  mount.set_type(state::v1::MOUNT_TYPE_IMAGE);
  mount.set_image(image);
  mount.set_readonly(true);
  if (options == nullptr) return OkStatus();
  const std::string path = "HostConfig.Mounts.ImageOptions";
  JsonReader reader(*options, path);
  std::string inside;
  reader.Get("Subpath", inside);
  RETURN_IF_ERROR(reader.status());
  mount.set_image_sub_path(inside);
  return RefuseRest(*options, path, {"Subpath"});
}

Status SetBindOptions(const Json& options, Mount& mount,
                      CreateRequest& request) {
  const std::string path = "HostConfig.Mounts.BindOptions";
  JsonReader reader(options, path);
  std::string propagation;
  bool non_recursive = false;
  bool create = false;
  reader.Get("Propagation", propagation);
  bool top_only = false;
  bool force = false;
  reader.Get("NonRecursive", non_recursive);
  reader.Get("CreateMountpoint", create);
  reader.Get("ReadOnlyNonRecursive", top_only);
  reader.Get("ReadOnlyForceRecursive", force);
  RETURN_IF_ERROR(reader.status());
  RETURN_IF_ERROR(
      RefuseRest(options, path,
                 {"Propagation", "NonRecursive", "CreateMountpoint",
                  "ReadOnlyNonRecursive", "ReadOnlyForceRecursive"}));
  RETURN_IF_ERROR(SetPropagation(propagation, mount));
  if (non_recursive) mount.set_non_recursive(true);
  if (top_only) mount.set_recursive_readonly(false);
  if (force && (top_only || !mount.recursive_readonly())) {
    return InvalidArgument(path +
                           ".ReadOnlyForceRecursive: only with ReadOnly, "
                           "private propagation and no ReadOnlyNonRecursive");
  }
  request.force_recursive_readonly |= force;
  mount.set_host_path_must_exist(!create);
  return OkStatus();
}

// A path that stays inside of what it is relative to, without "." and "..".
StatusOr<std::string> LocalPath(const std::string& path) {
  if (path.empty()) return path;
  const std::string clean = CleanPath(path);
  if (path.front() == '/' || clean == ".." || StartsWith(clean, "../")) {
    return InvalidArgument(
        "invalid mount config for type \"volume\": subpath must be a relative "
        "path within the volume");
  }
  return clean == "." ? "" : clean;
}

Status SetVolumeOptions(const Json& options, VolumeUse& use, Mount& mount) {
  const std::string path = "HostConfig.Mounts.VolumeOptions";
  JsonReader reader(options, path);
  bool no_copy = false;
  std::string inside;
  reader.Get("NoCopy", no_copy);
  reader.Get("Labels", use.labels);
  reader.Get("Subpath", inside);
  RETURN_IF_ERROR(reader.status());
  RETURN_IF_ERROR(RefuseRest(options, path,
                             {"NoCopy", "Labels", "Subpath", "DriverConfig"}));
  ASSIGN_OR_RETURN(inside, LocalPath(inside));
  mount.set_sub_path(inside);
  use.copy_image_content = !no_copy;
  const Json* const driver = reader.Find("DriverConfig");
  if (driver == nullptr) return OkStatus();
  JsonReader driver_reader(*driver, path + ".DriverConfig");
  std::string name;
  driver_reader.Get("Name", name);
  driver_reader.Get("Options", use.driver_options);
  RETURN_IF_ERROR(driver_reader.status());
  if (!name.empty() && name != "local") {
    return Unimplemented("volume driver " + Quoted(name) + " is not supported");
  }
  return OkStatus();
}

// [["exec"], ["uid", "7"]].
Status SetTmpfsWords(const Json::Array& options, Mount& mount) {
  std::string all;
  for (const Json& option : options) {
    const Json::Array& parts = option.elements();
    std::string word;
    for (const Json& part : parts) {
      if (!word.empty()) word += '=';
      if (part.is_string()) word += *part.AsText();
    }
    const size_t equals =
        static_cast<size_t>(std::count(word.begin(), word.end(), '='));
    if (parts.empty() || parts.size() > 2 || word.empty() ||
        equals != parts.size() - 1 || word.find(',') != std::string::npos) {
      return InvalidArgument("invalid option for tmpfs mount: " +
                             DumpJson(option));
    }
    all += "," + word;
  }
  return SetTmpfsOptions(all, mount);
}

Status SetTmpfsMount(const Json* options, Mount& mount) {
  mount.set_type(state::v1::MOUNT_TYPE_TMPFS);
  if (options == nullptr) return SetTmpfsOptions("", mount);
  JsonReader reader(*options, "HostConfig.Mounts.TmpfsOptions");
  int64_t size = 0;
  uint32_t mode = 0;
  reader.Get("SizeBytes", size);
  reader.Get("Mode", mode);
  RETURN_IF_ERROR(reader.status());
  RETURN_IF_ERROR(SetTmpfsWords(reader.Array("Options"), mount));
  RETURN_IF_ERROR(reader.status());
  if (size > 0) mount.set_tmpfs_size(size);
  if (mode > 0) mount.set_tmpfs_mode(mode);
  return RefuseRest(*options, "HostConfig.Mounts.TmpfsOptions",
                    {"SizeBytes", "Mode", "Options"});
}

Status AddMount(const Json& element, MountList& mounts) {
  JsonReader reader(element, "HostConfig.Mounts");
  std::string type;
  std::string source;
  std::string target;
  bool readonly = false;
  reader.Get("Type", type);
  reader.Get("Source", source);
  reader.Get("Target", target);
  reader.Get("ReadOnly", readonly);
  RETURN_IF_ERROR(reader.status());
  RETURN_IF_ERROR(
      RefuseRest(element, "HostConfig.Mounts",
                 {"Type", "Source", "Target", "ReadOnly", "Consistency",
                  "BindOptions", "VolumeOptions", "TmpfsOptions",
                  type == "image" ? "ImageOptions" : ""}));
  ASSIGN_OR_RETURN(Mount* const mount, mounts.Add(target));
  SetReadonly(readonly, *mount);
  if (type == "bind") {
    if (source.empty() || source.front() != '/') {
      return InvalidArgument(
          "invalid mount config for type \"bind\": invalid "
          "mount path: '" +
          source + "' mount path must be absolute");
    }
    mount->set_type(state::v1::MOUNT_TYPE_BIND);
    mount->set_host_path(source);
    mount->set_host_path_must_exist(true);
    const Json* options = reader.Find("BindOptions");
    return options == nullptr
               ? OkStatus()
               : SetBindOptions(*options, *mount, mounts.request());
  }
  if (type == "volume") {
    VolumeUse use;
    use.name = source;
    if (!source.empty()) RETURN_IF_ERROR(CheckName(source, "volume"));
    const Json* options = reader.Find("VolumeOptions");
    if (options != nullptr)
      RETURN_IF_ERROR(SetVolumeOptions(*options, use, *mount));
    mounts.UseVolume(std::move(use), *mount);
    return OkStatus();
  }
  if (type == "image") {
    return SetImageMount(source, reader.Find("ImageOptions"), *mount);
  }
  if (type == "tmpfs") {
    return SetTmpfsMount(reader.Find("TmpfsOptions"), *mount);
  }
  if (type == "cluster") {
    return InvalidArgument(
        "HostConfig.Mounts.Type cluster: this node is not a swarm manager");
  }
  return InvalidArgument("HostConfig.Mounts.Type: mount type " + Quoted(type) +
                         " unknown");
}

}  // namespace

Status ConvertMounts(const Json& config, const Json& host,
                     const state::v1::ImageConfig& image,
                     CreateRequest& request) {
  MountList mounts(request);
  JsonReader reader(host, "HostConfig");
  std::vector<std::string> binds;
  reader.Get("Binds", binds);
  std::map<std::string, std::string> tmpfs;
  reader.Get("Tmpfs", tmpfs);
  const Json::Array& list = reader.Array("Mounts");
  RETURN_IF_ERROR(reader.status());
  for (const std::string& bind : binds) {
    RETURN_IF_ERROR(AddBind(bind, mounts));
  }
  for (const Json& element : list) RETURN_IF_ERROR(AddMount(element, mounts));
  for (const auto& [target, options] : tmpfs) {
    RETURN_IF_ERROR(AddTmpfs(target, options, mounts));
  }

  // Anonymous volumes: the request's and the image's, where nothing else is.
  std::set<std::string> anonymous(image.volumes().begin(),
                                  image.volumes().end());
  JsonReader config_reader(config, "Config");
  for (const auto& [target, ignored] : config_reader.Object("Volumes")) {
    anonymous.insert(target);
  }
  RETURN_IF_ERROR(config_reader.status());
  for (const std::string& target : anonymous) {
    if (mounts.Has(target)) continue;
    ASSIGN_OR_RETURN(Mount* const mount, mounts.Add(target));
    mounts.UseVolume(VolumeUse(), *mount);
  }
  return OkStatus();
}

}  // namespace berth::docker
