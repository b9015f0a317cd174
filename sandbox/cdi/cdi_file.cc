#include "sandbox/cdi/cdi_file.h"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <set>
#include <utility>

#include "base/json.h"
#include "base/strings.h"
#include "sandbox/cdi/yaml.h"
#include "sandbox/spec/mounts.h"

namespace berth::sandbox {
namespace {

// In their order.
constexpr std::string_view kVersions[] = {"0.3.0", "0.4.0", "0.5.0", "0.6.0",
                                          "0.7.0", "0.8.0", "1.0.0", "1.1.0"};

// Foreign text in messages.
std::string Excerpt(std::string_view text) {
  return Quoted(text.substr(0, 128));
}

bool IsLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAlphanumeric(char c) { return IsLetter(c) || IsDigit(c); }

// Letters and digits, and `others` between the first and the last.
bool IsWord(std::string_view text, std::string_view others) {
  return !text.empty() && IsAlphanumeric(text.front()) &&
         IsAlphanumeric(text.back()) &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return IsAlphanumeric(c) || others.find(c) != others.npos;
         });
}

bool IsDeviceName(std::string_view text) { return IsWord(text, "_-.:"); }

// "vendor/class".
bool IsKind(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == text.npos) return false;
  const std::string_view parts[] = {text.substr(0, slash),
                                    text.substr(slash + 1)};
  return std::all_of(std::begin(parts), std::end(parts), [](auto part) {
    return IsWord(part, "_-.") && IsLetter(part.front());
  });
}

bool HasNul(const std::string& text) { return text.find('\0') != text.npos; }
bool IsPath(const std::string& text) {
  return StartsWith(text, "/") && !HasNul(text);
}

bool IsBind(const oci::MountSpec& mount) {
  const auto has = [&](const char* option) {
    return std::find(mount.options.begin(), mount.options.end(), option) !=
           mount.options.end();
  };
  return mount.type == "bind" || has("bind") || has("rbind");
}

std::vector<oci::Hook>* HookList(oci::Hooks& hooks, const std::string& name) {
  if (name == "prestart") return &hooks.prestart;
  if (name == "createRuntime") return &hooks.create_runtime;
  if (name == "createContainer") return &hooks.create_container;
  if (name == "startContainer") return &hooks.start_container;
  if (name == "poststart") return &hooks.poststart;
  if (name == "poststop") return &hooks.poststop;
  return nullptr;
}

// Of one file: its version decides what may be in it.
class Parser {
 public:
  explicit Parser(std::string what) : what_(std::move(what)) {}

  StatusOr<CdiFile> File(const Json& json);

 private:
  using Members = std::initializer_list<std::string_view>;

  // That it is an object with no other members than these.
  Status CheckMembers(const Json& json, const std::string& path,
                      Members known) const;
  Status Needs(std::string_view version, const std::string& path) const;
  Status NeedsIf(const JsonReader& reader, const char* member,
                 std::string_view version) const;
  Status Version(const std::string& text);
  Status Annotations(JsonReader& reader) const;
  Status CheckEnv(const std::vector<std::string>& env,
                  const std::string& path) const;
  Status Device(const Json& json, const std::string& path, CdiFile& file) const;
  StatusOr<CdiEdits> Edits(const Json& json, const std::string& path) const;
  Status Rdt(JsonReader& of, CdiEdits& edits) const;
  Status Groups(JsonReader& reader, CdiEdits& edits) const;
  Status Node(const Json& json, const std::string& path, CdiEdits& edits) const;
  Status Mount(const Json& json, const std::string& path,
               CdiEdits& edits) const;
  Status Hook(const Json& json, const std::string& path, CdiEdits& edits) const;
  Status NetDevice(const Json& json, const std::string& path,
                   CdiEdits& edits) const;

  // Each element of a list, through one of the above.
  Status Each(JsonReader& reader, const char* member, CdiEdits& edits,
              Status (Parser::*parse)(const Json&, const std::string&,
                                      CdiEdits&) const) const {
    size_t index = 0;
    for (const Json& element : reader.Array(member)) {
      const std::string path =
          reader.PathOf(member) + "[" + std::to_string(index++) + "]";
      RETURN_IF_ERROR((this->*parse)(element, path, edits));
    }
    return reader.status();
  }

  Status Wrong(const std::string& path, const std::string& why) const {
    return InvalidArgument(what_ + ": " + path + ": " + why);
  }

  const std::string what_;
  size_t version_ = 0;  // in kVersions
};

Status Parser::CheckMembers(const Json& json, const std::string& path,
                            Members known) const {
  if (!json.is_object()) return Wrong(path, "not an object");
  for (const auto& [name, value] : json.members()) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return Wrong(path, "unknown member " + Excerpt(name));
    }
  }
  return OkStatus();
}

Status Parser::Needs(std::string_view version, const std::string& path) const {
  const auto* const needed =
      std::find(std::begin(kVersions), std::end(kVersions), version);
  if (&kVersions[version_] >= needed) return OkStatus();
  return Wrong(path, "needs cdiVersion " + std::string(version));
}

Status Parser::NeedsIf(const JsonReader& reader, const char* member,
                       std::string_view version) const {
  if (!reader.Has(member)) return OkStatus();
  return Needs(version, reader.PathOf(member));
}

Status Parser::Version(const std::string& text) {
  const auto* const found =
      std::find(std::begin(kVersions), std::end(kVersions), text);
  if (found == std::end(kVersions)) {
    return Wrong("cdiVersion", Excerpt(text) + " is not known");
  }
  version_ = found - std::begin(kVersions);
  return OkStatus();
}

Status Parser::Annotations(JsonReader& reader) const {
  RETURN_IF_ERROR(NeedsIf(reader, "annotations", "0.6.0"));
  std::map<std::string, std::string> ignored;
  reader.Get("annotations", ignored);
  return reader.status();
}

Status Parser::CheckEnv(const std::vector<std::string>& env,
                        const std::string& path) const {
  for (const std::string& entry : env) {
    const size_t equals = entry.find('=');
    if (equals == entry.npos || equals == 0 || HasNul(entry)) {
      return Wrong(path, Excerpt(entry) + " is not NAME=value");
    }
  }
  return OkStatus();
}

StatusOr<CdiFile> Parser::File(const Json& json) {
  RETURN_IF_ERROR(CheckMembers(
      json, "file",
      {"cdiVersion", "kind", "annotations", "devices", "containerEdits"}));
  JsonReader reader(json, what_);
  std::string version;
  CdiFile file;
  reader.Get("cdiVersion", version);
  reader.Get("kind", file.kind);
  const Json::Array& devices = reader.Array("devices");
  RETURN_IF_ERROR(reader.status());
  RETURN_IF_ERROR(Version(version));
  RETURN_IF_ERROR(Annotations(reader));
  if (!IsKind(file.kind)) {
    return Wrong("kind", Excerpt(file.kind) + " is not vendor/class");
  }
  if (file.kind.find('.', file.kind.find('/')) != file.kind.npos) {
    RETURN_IF_ERROR(Needs("0.6.0", "kind: a dot in the class"));
  }
  if (const Json* edits = reader.Find("containerEdits")) {
    ASSIGN_OR_RETURN(file.edits, Edits(*edits, "containerEdits"));
  }
  if (devices.empty()) return Wrong("devices", "none");
  for (const Json& device : devices) {
    const std::string path =
        "devices[" + std::to_string(file.devices.size()) + "]";
    RETURN_IF_ERROR(Device(device, path, file));
  }
  return file;
}

Status Parser::Device(const Json& json, const std::string& path,
                      CdiFile& file) const {
  RETURN_IF_ERROR(
      CheckMembers(json, path, {"name", "annotations", "containerEdits"}));
  JsonReader reader(json, what_ + ": " + path);
  std::string name;
  reader.Get("name", name);
  RETURN_IF_ERROR(reader.status());
  RETURN_IF_ERROR(Annotations(reader));
  if (!IsDeviceName(name)) {
    return Wrong(path + ".name", Excerpt(name) + " is not a device name");
  }
  if (IsDigit(name[0])) {
    RETURN_IF_ERROR(Needs("0.5.0", path + ".name: a digit first"));
  }
  CdiEdits edits;
  if (const Json* found = reader.Find("containerEdits")) {
    ASSIGN_OR_RETURN(edits, Edits(*found, path + ".containerEdits"));
  }
  if (edits == CdiEdits()) return Wrong(path + ".containerEdits", "none");
  if (!file.devices.emplace(name, std::move(edits)).second) {
    return Wrong(path + ".name", Excerpt(name) + " is there twice");
  }
  return OkStatus();
}

StatusOr<CdiEdits> Parser::Edits(const Json& json,
                                 const std::string& path) const {
  RETURN_IF_ERROR(CheckMembers(json, path,
                               {"env", "deviceNodes", "netDevices", "mounts",
                                "hooks", "intelRdt", "additionalGids"}));
  JsonReader reader(json, what_ + ": " + path);
  CdiEdits edits;
  reader.Get("env", edits.env);
  RETURN_IF_ERROR(reader.status());
  RETURN_IF_ERROR(CheckEnv(edits.env, path + ".env"));
  RETURN_IF_ERROR(Each(reader, "deviceNodes", edits, &Parser::Node));
  RETURN_IF_ERROR(Each(reader, "mounts", edits, &Parser::Mount));
  RETURN_IF_ERROR(Each(reader, "hooks", edits, &Parser::Hook));
  RETURN_IF_ERROR(Groups(reader, edits));
  RETURN_IF_ERROR(Rdt(reader, edits));
  RETURN_IF_ERROR(NeedsIf(reader, "netDevices", "1.1.0"));
  RETURN_IF_ERROR(Each(reader, "netDevices", edits, &Parser::NetDevice));
  return edits;
}

Status Parser::Groups(JsonReader& reader, CdiEdits& edits) const {
  RETURN_IF_ERROR(NeedsIf(reader, "additionalGids", "0.7.0"));
  for (const Json& gid : reader.Array("additionalGids")) {
    const std::optional<uint64_t> number = gid.AsUint();
    // The last one, -1, is no group to the kernel.
    if (!number.has_value() || *number >= UINT32_MAX) {
      reader.Fail("additionalGids", "is not a list of group ids");
      break;
    }
    edits.groups.push_back(static_cast<gid_t>(*number));
  }
  return reader.status();
}

Status Parser::Rdt(JsonReader& of, CdiEdits& edits) const {
  const Json* const json = of.Find("intelRdt");
  if (json == nullptr) return OkStatus();
  const std::string path = of.PathOf("intelRdt");
  RETURN_IF_ERROR(NeedsIf(of, "intelRdt", "0.7.0"));
  RETURN_IF_ERROR(
      CheckMembers(*json, path,
                   {"closID", "l3CacheSchema", "memBwSchema", "schemata",
                    "enableCMT", "enableMBM", "enableMonitoring"}));
  JsonReader reader(*json, path);
  RETURN_IF_ERROR(NeedsIf(reader, "schemata", "1.1.0"));
  RETURN_IF_ERROR(NeedsIf(reader, "enableMonitoring", "1.1.0"));
  oci::IntelRdt& rdt = edits.intel_rdt.emplace();
  bool cache = false;
  bool bandwidth = false;
  reader.Get("closID", rdt.clos_id);
  reader.Get("l3CacheSchema", rdt.l3_cache_schema);
  reader.Get("memBwSchema", rdt.mem_bw_schema);
  reader.Get("schemata", rdt.schemata);
  reader.Get("enableMonitoring", rdt.enable_monitoring);
  reader.Get("enableCMT", cache);
  reader.Get("enableMBM", bandwidth);
  rdt.enable_monitoring |= cache || bandwidth;
  return reader.status();
}

Status Parser::NetDevice(const Json& json, const std::string& path,
                         CdiEdits& edits) const {
  RETURN_IF_ERROR(CheckMembers(json, path, {"hostInterfaceName", "name"}));
  JsonReader reader(json, what_ + ": " + path);
  std::string on_host;
  std::string name;
  reader.Get("hostInterfaceName", on_host);
  reader.Get("name", name);
  RETURN_IF_ERROR(reader.status());
  if (on_host.empty() || name.empty()) return Wrong(path, "a name is missing");
  if (!edits.net_devices.emplace(on_host, name).second) {
    return Wrong(path, Excerpt(on_host) + " is there twice");
  }
  return OkStatus();
}

Status Parser::Node(const Json& json, const std::string& path,
                    CdiEdits& edits) const {
  RETURN_IF_ERROR(CheckMembers(json, path,
                               {"path", "hostPath", "type", "major", "minor",
                                "fileMode", "permissions", "uid", "gid"}));
  JsonReader reader(json, what_ + ": " + path);
  RETURN_IF_ERROR(NeedsIf(reader, "hostPath", "0.5.0"));
  CdiNode made;
  std::string type;
  std::string permissions;
  std::optional<uint32_t> mode;
  reader.Get("path", made.node.path);
  reader.Get("hostPath", made.host_path);
  reader.Get("type", type);
  reader.Get("major", made.node.major);
  reader.Get("minor", made.node.minor);
  reader.Get("fileMode", mode);
  reader.Get("permissions", permissions);
  reader.Get("uid", made.node.uid);
  reader.Get("gid", made.node.gid);
  RETURN_IF_ERROR(reader.status());
  if (!IsPath(made.node.path) ||
      (!made.host_path.empty() && !IsPath(made.host_path))) {
    return Wrong(path, "a path is missing or not absolute");
  }
  made.node.path = CleanPath(made.node.path);
  if (made.host_path.empty()) made.host_path = made.node.path;
  if (type.size() > 1 || type.find_first_not_of("bcup") != type.npos) {
    return Wrong(path + ".type", Excerpt(type) + " is not of b, c, u, p");
  }
  made.node.type = type.empty() ? '\0' : type[0];
  if (made.node.major < 0 || made.node.minor < 0) {
    return Wrong(path, "a number is negative");
  }
  if (mode.has_value()) made.node.file_mode = *mode & 07777;
  if (permissions.find_first_not_of("rwm") == permissions.npos) {
    if (!permissions.empty()) made.access = permissions;
  } else if (permissions == "none") {
    made.access.clear();
  } else {
    return Wrong(path + ".permissions",
                 Excerpt(permissions) + " is not of rwm, nor \"none\"");
  }
  edits.nodes.push_back(std::move(made));
  return OkStatus();
}

Status Parser::Mount(const Json& json, const std::string& path,
                     CdiEdits& edits) const {
  RETURN_IF_ERROR(CheckMembers(
      json, path, {"hostPath", "containerPath", "options", "type"}));
  JsonReader reader(json, what_ + ": " + path);
  RETURN_IF_ERROR(NeedsIf(reader, "type", "0.4.0"));
  oci::MountSpec mount;
  reader.Get("hostPath", mount.source);
  reader.Get("containerPath", mount.destination);
  reader.Get("options", mount.options);
  reader.Get("type", mount.type);
  RETURN_IF_ERROR(reader.status());
  if (!IsPath(mount.destination)) {
    return Wrong(path + ".containerPath", "missing or not absolute");
  }
  mount.destination = CleanPath(mount.destination);
  if (mount.type.empty() && !IsBind(mount)) mount.options.push_back("rbind");
  if (IsBind(mount)) mount.type = "bind";
  const bool source_is_good =
      mount.type == "bind" ? IsPath(mount.source)
                           : !mount.source.empty() && !HasNul(mount.source);
  if (!source_is_good) {
    return Wrong(path + ".hostPath", "missing or not absolute");
  }
  edits.mounts.push_back(std::move(mount));
  return OkStatus();
}

Status Parser::Hook(const Json& json, const std::string& path,
                    CdiEdits& edits) const {
  RETURN_IF_ERROR(
      CheckMembers(json, path, {"hookName", "path", "args", "env", "timeout"}));
  JsonReader reader(json, what_ + ": " + path);
  std::string name;
  oci::Hook hook;
  reader.Get("hookName", name);
  reader.Get("path", hook.path);
  reader.Get("args", hook.args);
  reader.Get("env", hook.env);
  reader.Get("timeout", hook.timeout);
  RETURN_IF_ERROR(reader.status());
  std::vector<oci::Hook>* const list = HookList(edits.hooks, name);
  if (list == nullptr) {
    return Wrong(path + ".hookName", Excerpt(name) + " is not known");
  }
  if (!IsPath(hook.path)) {
    return Wrong(path + ".path", "missing or not absolute");
  }
  if (hook.timeout.has_value() && *hook.timeout <= 0) {
    return Wrong(path + ".timeout", "not above 0");
  }
  RETURN_IF_ERROR(CheckEnv(hook.env, path + ".env"));
  list->push_back(std::move(hook));
  return OkStatus();
}

}  // namespace

StatusOr<CdiFile> ParseCdiFile(std::string_view json, const std::string& what) {
  ASSIGN_OR_RETURN(const Json value,
                   ParseJson(json, what, {.refuse_duplicates = true}));
  return Parser(what).File(value);
}

StatusOr<CdiFile> ParseCdiYaml(std::string_view yaml, const std::string& what) {
  static const auto& numbers = *new std::set<std::string>{
      "additionalGids", "enableCMT", "enableMBM", "enableMonitoring",
      "fileMode",       "gid",       "major",     "minor",
      "timeout",        "uid"};
  ASSIGN_OR_RETURN(const Json value, ParseYaml(yaml, what, numbers));
  return Parser(what).File(value);
}

Status CheckCdiName(const std::string& name) {
  const size_t equals = name.find('=');
  if (equals != name.npos && IsKind(std::string_view(name).substr(0, equals)) &&
      IsDeviceName(std::string_view(name).substr(equals + 1))) {
    return OkStatus();
  }
  return InvalidArgument("cdi_devices: " + Excerpt(name) +
                         " is not vendor/class=name");
}

}  // namespace berth::sandbox
