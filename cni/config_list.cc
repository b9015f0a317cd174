#include "cni/config_list.h"

#include <fcntl.h>

#include <array>
#include <utility>

#include "base/fs/atomic_file.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/unique_fd.h"

namespace berth::cni {
namespace {

constexpr size_t kMaxPlugins = 32;
constexpr char kOldest[] = "0.3.0";
constexpr char kNewest[] = "1.1.0";

std::array<uint64_t, 3> Numbers(std::string_view version) {
  std::array<uint64_t, 3> numbers = {};
  const std::vector<std::string> parts = Split(version, '.');
  for (size_t i = 0; i < parts.size() && i < numbers.size(); ++i) {
    numbers[i] = ParseUint(parts[i]).value_or(0);
  }
  return numbers;
}

bool Spoken(std::string_view version) {
  return VersionAtLeast(version, kOldest) && VersionAtLeast(kNewest, version);
}

// Of a list that offers several versions (since 1.1.0) the highest that we
// speak, else its only one.
Status ChooseVersion(JsonReader& reader, ConfigList& list) {
  std::vector<std::string> offered;
  reader.Get("cniVersions", offered);
  reader.Get("cniVersion", list.cni_version);
  RETURN_IF_ERROR(reader.status());
  if (!list.cni_version.empty()) offered.push_back(list.cni_version);
  std::string best;
  for (const std::string& version : offered) {
    if (Spoken(version) && (best.empty() || VersionAtLeast(version, best))) {
      best = version;
    }
  }
  if (best.empty()) {
    return InvalidArgument(
        reader.PathOf("cniVersion") + ": " +
        (offered.empty() ? "missing" : Quoted(Join(offered, ", "))) +
        ", this program speaks " + kOldest + " to " + kNewest);
  }
  list.cni_version = best;
  return OkStatus();
}

// What no other reader of the file looks at.
Status ReadOwnMember(const Json& json, const std::string& file,
                     ConfigList& list) {
  const Json* const own = json.Find("berth");
  const Json* const found = own == nullptr ? nullptr : own->Find("masquerade");
  if (found == nullptr) return OkStatus();
  JsonReader reader(*found, file + ".berth.masquerade");
  Masquerade masquerade;
  reader.Get("subnet", masquerade.subnet);
  reader.Get("interface", masquerade.interface);
  RETURN_IF_ERROR(reader.status());
  list.masquerade = std::move(masquerade);
  return OkStatus();
}

Status CheckPlugin(const Json& plugin, const std::string& path) {
  JsonReader reader(plugin, path);
  std::string type;
  reader.Get("type", type);
  RETURN_IF_ERROR(reader.status());
  // It becomes a file name below the plugin folders.
  if (type.empty() || type.find('/') != std::string::npos || type == "." ||
      type == "..") {
    return InvalidArgument(path + ".type: " + Quoted(type) +
                           " is no name of a plugin");
  }
  return OkStatus();
}

}  // namespace

bool VersionAtLeast(std::string_view version, std::string_view least) {
  return Numbers(version) >= Numbers(least);
}

StatusOr<ConfigList> ParseConfigList(std::string_view text,
                                     const std::string& file) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(text, file));
  ConfigList list;
  list.file = file;
  list.text = std::string(text);
  JsonReader reader(json, file);
  reader.Get("name", list.name);
  reader.Get("disableCheck", list.disable_check);
  reader.Get("disableGC", list.disable_gc);
  RETURN_IF_ERROR(reader.status());
  if (list.name.empty()) return InvalidArgument(file + ".name: missing");
  RETURN_IF_ERROR(ChooseVersion(reader, list));
  RETURN_IF_ERROR(ReadOwnMember(json, file, list));

  if (!reader.Has("plugins")) {
    RETURN_IF_ERROR(CheckPlugin(json, file));
    list.plugins.push_back(json);
    return list;
  }
  const Json::Array& plugins = reader.Array("plugins");
  RETURN_IF_ERROR(reader.status());
  if (plugins.empty() || plugins.size() > kMaxPlugins) {
    return InvalidArgument(file + ".plugins: must have 1 to " +
                           std::to_string(kMaxPlugins) + " elements");
  }
  for (const Json& plugin : plugins) {
    RETURN_IF_ERROR(CheckPlugin(
        plugin,
        file + ".plugins[" + std::to_string(list.plugins.size()) + "]"));
    list.plugins.push_back(plugin);
  }
  return list;
}

StatusOr<std::vector<std::string>> ConfigFiles(const std::string& directory) {
  ASSIGN_OR_RETURN(const UniqueFd dir,
                   OpenFile(directory, O_RDONLY | O_DIRECTORY));
  ASSIGN_OR_RETURN(const std::vector<std::string> names,
                   ListDirectory(dir.get()));
  std::vector<std::string> files;
  for (const std::string& name : names) {
    // What begins with a dot is a file on its way to its name.
    if (name.front() == '.') continue;
    if (EndsWith(name, ".conflist") || EndsWith(name, ".conf") ||
        EndsWith(name, ".json")) {
      files.push_back(directory + "/" + name);
    }
  }
  return files;
}

StatusOr<bool> WriteDefaultConfig(const std::string& directory,
                                  const DefaultNetwork& network) {
  RETURN_IF_ERROR(MakeDirectories(directory, 0755));
  ASSIGN_OR_RETURN(const std::vector<std::string> files,
                   ConfigFiles(directory));
  if (!files.empty()) return false;

  Json ipam = {
      {"type", "host-local"},
      {"ranges", Json::array({Json::array({{{"subnet", network.subnet}}})})},
      {"routes", Json::array({{{"dst", "0.0.0.0/0"}}})}};
  if (!network.address_directory.empty()) {
    ipam["dataDir"] = network.address_directory;
  }
  const Json list = {
      {"cniVersion", "1.0.0"},
      {"name", network.name},
      {"berth",
       {{"masquerade",
         {{"subnet", network.subnet}, {"interface", network.bridge}}}}},
      {"plugins", Json::array({{{"type", "bridge"},
                                {"bridge", network.bridge},
                                {"isGateway", true},
                                {"ipMasq", false},
                                {"hairpinMode", true},
                                {"ipam", ipam}},
                               {{"type", "portmap"},
                                {"capabilities", {{"portMappings", true}}}}})}};
  RETURN_IF_ERROR(WriteFileAtomically(directory + "/10-berth.conflist",
                                      DumpJson(list, 2) + "\n", 0644));
  return true;
}

}  // namespace berth::cni
