// HostConfig but for mounts and ports: a table of the fields that we honour.
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "docker/convert/console_size.h"
#include "docker/convert/create_request.h"
#include "docker/convert/go_bool.h"
#include "docker/convert/host_field.h"

namespace berth::docker {
namespace {

using state::v1::NamespaceMode;
using state::v1::NamespaceOptions;
using state::v1::SecurityProfile;

Status Capabilities(const Field& field) {
  for (const std::string& name : field.List()) {
    if (field.name == "CapAdd") {
      field.security().add_add_capabilities(name);
    } else {
      field.security().add_drop_capabilities(name);
    }
  }
  return OkStatus();
}

// 0 is one, too.
Status Umask(const Field& field) {
  std::optional<uint32_t> umask;
  field.reader.Get("Umask", umask);
  if (!umask) return OkStatus();
  // A runtime would refuse to start it.
  if (*umask > 0777) return field.Invalid("above 0777");
  field.security().set_umask(*umask);
  return OkStatus();
}

Status Privileged(const Field& field) {
  field.security().set_privileged(field.Flag());
  field.request.sandbox.mutable_security()->set_privileged(field.Flag());
  return OkStatus();
}

// "user:U", "type:T" and so on. The sandbox's, which its one container has
// unless it has its own.
Status SelinuxLabel(const Field& field, const std::string& option,
                    const std::string& value) {
  state::v1::SelinuxOptions& selinux =
      *field.request.sandbox.mutable_security()->mutable_selinux();
  const size_t colon = value.find(':');
  const std::string part = value.substr(0, colon);
  const std::string wanted =
      colon == std::string::npos ? "" : value.substr(colon + 1);
  if (value == "disable") {
    selinux.set_disabled(true);
  } else if (wanted.empty()) {
    return field.Unsupported(option);
  } else if (part == "user") {
    selinux.set_user(wanted);
  } else if (part == "role") {
    selinux.set_role(wanted);
  } else if (part == "type") {
    selinux.set_type(wanted);
  } else if (part == "level") {
    selinux.set_level(wanted);
  } else if (part == "filetype") {
    selinux.set_file_type(wanted);
  } else {
    return field.Unsupported(option);
  }
  return OkStatus();
}

Status SecurityOpt(const Field& field) {
  for (const std::string& option : field.List()) {
    // "name=value", and "name:value" of old.
    const size_t at = option.find_first_of("=:");
    const std::string name = option.substr(0, at);
    const std::string value =
        at == std::string::npos ? "" : option.substr(at + 1);
    if (name == "no-new-privileges") {
      const std::optional<bool> set =
          at == std::string::npos ? true : ParseGoBool(value);
      if (!set.has_value()) {
        return field.Invalid("invalid --security-opt: " + Quoted(option));
      }
      field.security().set_no_new_privileges(*set);
    } else if (name == "seccomp") {
      SecurityProfile& profile = *field.security().mutable_seccomp();
      if (value == "unconfined") {
        profile.set_type(SecurityProfile::UNCONFINED);
      } else if (value == "builtin") {
        profile.set_type(SecurityProfile::RUNTIME_DEFAULT);
      } else {
        // The CLI sends the file's text.
        profile.set_type(SecurityProfile::LOCALHOST);
        profile.set_profile(value);
      }
    } else if (name == "apparmor" && value == "unconfined") {
      field.security().mutable_apparmor()->set_type(
          SecurityProfile::UNCONFINED);
    } else if (name == "apparmor") {
      field.security().mutable_apparmor()->set_type(SecurityProfile::LOCALHOST);
      field.security().mutable_apparmor()->set_localhost_ref(value);
    } else if (name == "label") {
      RETURN_IF_ERROR(SelinuxLabel(field, option, value));
    } else if (option == "systempaths=unconfined") {
      field.security().set_default_paths(false);
    } else {
      return field.Unsupported(option);
    }
  }
  return OkStatus();
}

// Null: ours. A list, if empty: exactly these.
Status Paths(const Field& field) {
  if (!field.reader.Has(field.name.c_str())) return OkStatus();
  field.security().set_default_paths(false);
  for (const std::string& path : field.List()) {
    if (field.name == "MaskedPaths") {
      field.security().add_masked_paths(path);
    } else {
      field.security().add_readonly_paths(path);
    }
  }
  return OkStatus();
}

// "" and our own name for the sandbox's; "host"; "container:NAME".
Status Mode(const Field& field, void (NamespaceOptions::*setter)(NamespaceMode),
            const std::string& own, std::string* target) {
  const std::string mode = field.Text();
  NamespaceMode value = state::v1::NAMESPACE_MODE_POD;
  if (mode == "host") {
    value = state::v1::NAMESPACE_MODE_NODE;
  } else if (target != nullptr && StartsWith(mode, "container:")) {
    *target = mode.substr(10);
    if (target->empty()) return field.Invalid("no container is named");
    value = state::v1::NAMESPACE_MODE_TARGET;
  } else if (!mode.empty() && mode != own) {
    return field.Unsupported(mode);
  }
  field.ForNamespaces(
      [&](NamespaceOptions& options) { (options.*setter)(value); });
  return OkStatus();
}

Status NetworkMode(const Field& field) {
  const std::string mode = field.Text();
  if (mode == "default" || mode == "bridge") return OkStatus();
  if (mode == "none") {
    field.ForNamespaces([](NamespaceOptions& options) {
      options.set_network(state::v1::NAMESPACE_MODE_NONE);
    });
    return OkStatus();
  }
  if (mode.empty() || mode == "host" || StartsWith(mode, "container:")) {
    RETURN_IF_ERROR(Mode(field, &NamespaceOptions::set_network, "",
                         &field.request.network_container));
    // The host's network has the host's name, unless another is asked for.
    if (mode == "host" && field.request.sandbox.hostname().empty()) {
      field.ForNamespaces([](NamespaceOptions& options) {
        options.set_uts(state::v1::NAMESPACE_MODE_NODE);
      });
    }
    return OkStatus();
  }
  // A network of a user's; whether there is one is found out later.
  return OkStatus();
}

Status PidMode(const Field& field) {
  RETURN_IF_ERROR(Mode(field, &NamespaceOptions::set_pid, "private",
                       &field.request.pid_container));
  // A single container has its own rather than a sandbox's.
  field.ForNamespaces([](NamespaceOptions& options) {
    if (options.pid() == state::v1::NAMESPACE_MODE_POD) {
      options.set_pid(state::v1::NAMESPACE_MODE_CONTAINER);
    }
  });
  return OkStatus();
}

Status CgroupnsMode(const Field& field) {
  const std::string mode = field.Text();
  NamespaceMode value = state::v1::NAMESPACE_MODE_POD;
  if (mode == "host") value = state::v1::NAMESPACE_MODE_NODE;
  if (mode == "private") value = state::v1::NAMESPACE_MODE_CONTAINER;
  if (!mode.empty() && mode != "host" && mode != "private") {
    return field.Unsupported(mode);
  }
  field.ForNamespaces(
      [&](NamespaceOptions& options) { options.set_cgroup(value); });
  return OkStatus();
}

Status DnsLists(const Field& field) {
  for (const std::string& entry : field.List()) {
    auto* dns = field.request.sandbox.mutable_dns();
    if (field.name == "Dns") dns->add_servers(entry);
    if (field.name == "DnsSearch") dns->add_searches(entry);
    if (field.name == "DnsOptions") dns->add_options(entry);
  }
  return OkStatus();
}

Status ExtraHosts(const Field& field) {
  for (const std::string& entry : field.List()) {
    if (entry.find(':') == std::string::npos) {
      return field.Invalid("bad format for add-host: " + Quoted(entry));
    }
    field.request.sandbox.add_extra_hosts(entry);
  }
  return OkStatus();
}

// "CONTAINER[:MODE]" each.
Status VolumesFrom(const Field& field) {
  for (const std::string& entry : field.List()) {
    const size_t colon = entry.find(':');
    VolumeSource source;
    source.container = entry.substr(0, colon);
    const std::string mode =
        colon == std::string::npos ? "rw" : entry.substr(colon + 1);
    if (source.container.empty()) {
      return InvalidArgument("malformed volumes-from specification: " + entry);
    }
    for (const std::string& word : Split(mode, ',')) {
      if (word == "ro") source.readonly = true;
      if (word != "ro" && word != "rw" && word != "z" && word != "Z") {
        return InvalidArgument("invalid mode: " + mode);
      }
    }
    field.request.volumes_from.push_back(std::move(source));
  }
  return OkStatus();
}

Status RestartPolicy(const Field& field) {
  const Json* json = field.reader.Find("RestartPolicy");
  if (json == nullptr) return OkStatus();
  JsonReader reader(*json, "HostConfig.RestartPolicy");
  std::string name;
  int64_t retries = 0;
  reader.Get("Name", name);
  reader.Get("MaximumRetryCount", retries);
  RETURN_IF_ERROR(reader.status());
  if (!name.empty() && name != "no" && name != "always" &&
      name != "unless-stopped" && name != "on-failure") {
    return InvalidArgument("invalid restart policy '" + name + "'");
  }
  if (retries < 0 || (retries > 0 && name != "on-failure")) {
    return InvalidArgument(
        "maximum retry count cannot be used with restart policy '" + name +
        "'");
  }
  bool remove = false;
  field.reader.Get("AutoRemove", remove);
  if (remove && !name.empty() && name != "no") {
    return InvalidArgument(
        "can't create 'AutoRemove' container with restart "
        "policy");
  }
  return OkStatus();
}

Status ConsoleSize(const Field& field) {
  ASSIGN_OR_RETURN(const auto size, ParseConsoleSize(field.reader));
  if (!size.has_value()) return OkStatus();
  auto* console = field.request.container.mutable_console_size();
  console->set_height(size->height);
  console->set_width(size->width);
  return OkStatus();
}

Status Ignore(const Field&) { return OkStatus(); }

// The one value that is what happens anyway.
Apply Only(const std::string& value) {
  return [value](const Field& field) {
    const std::string text = field.Text();
    return text.empty() || text == value ? OkStatus() : field.Unsupported(text);
  };
}

const std::map<std::string, Apply>& NamespaceFields() {
  static const auto& table = *new std::map<std::string, Apply>{
      {"CgroupnsMode", CgroupnsMode},
      {"IpcMode",
       [](const Field& f) {
         const std::string mode = f.Text();
         if (mode == "shareable") return OkStatus();
         return Mode(f, &NamespaceOptions::set_ipc, "private",
                     &f.request.ipc_container);
       }},
      {"NetworkMode", NetworkMode},
      {"PidMode", PidMode},
      {"UTSMode",
       [](const Field& f) {
         return f.Text().empty()
                    ? OkStatus()
                    : Mode(f, &NamespaceOptions::set_uts, "", nullptr);
       }},
  };
  return table;
}

const std::map<std::string, Apply>& OtherFields() {
  static const auto& table = *new std::map<std::string, Apply>{
      {"Annotations", Simple([](const Field& f) {
         for (const auto& [key, value] : f.Map()) {
           (*f.request.container.mutable_annotations())[key] = value;
         }
       })},
      {"AutoRemove", Simple([](const Field& f) { f.Flag(); })},  // in the notes
      {"Binds", Ignore},  // ConvertMounts
      {"CapAdd", Capabilities},
      {"CapDrop", Capabilities},
      {"CgroupParent", Simple([](const Field& f) {
         f.request.sandbox.set_cgroup_parent(f.Text());
       })},
      {"ConsoleSize", ConsoleSize},
      // The client's own.
      {"ContainerIDFile", Simple([](const Field& f) { f.Text(); })},
      {"Dns", DnsLists},
      {"DnsOptions", DnsLists},
      {"DnsSearch", DnsLists},
      {"ExtraHosts", ExtraHosts},
      {"GroupAdd", Simple([](const Field& f) {
         for (const std::string& group : f.List()) {
           f.security().add_supplemental_group_names(group);
         }
       })},
      {"Init", Simple([](const Field& f) { f.request.init = f.Flag(); })},
      {"Isolation",
       [](const Field& f) {
         const std::string text = f.Text();
         if (text.empty() || Lower(text) == "default") return OkStatus();
         return InvalidArgument("invalid isolation (" + text +
                                "): linux only supports 'default'");
       }},
      {"Links",
       [](const Field& f) -> Status {
         ASSIGN_OR_RETURN(f.request.links, ParseLinks(f.List()));
         return OkStatus();
       }},
      {"LogConfig", ConvertLog},
      {"MaskedPaths", Paths},
      {"Mounts", Ignore},           // ConvertMounts
      {"PortBindings", Ignore},     // ConvertPorts
      {"PublishAllPorts", Ignore},  // ConvertPorts
      {"Privileged", Privileged},
      {"ReadonlyPaths", Paths},
      {"ReadonlyRootfs", Simple([](const Field& f) {
         f.security().set_readonly_rootfs(f.Flag());
       })},
      {"RestartPolicy", RestartPolicy},
      {"Runtime", Simple([](const Field& f) {
         // What inspect calls the one that nobody has asked for.
         const std::string name = f.Text();
         f.request.sandbox.set_runtime_handler(name == "berth" ? "" : name);
       })},
      {"SecurityOpt", SecurityOpt},
      {"Sysctls", Simple([](const Field& f) {
         for (const auto& [key, value] : f.Map()) {
           (*f.request.sandbox.mutable_sysctls())[key] = value;
         }
       })},
      {"Tmpfs", Ignore},  // ConvertMounts
      // A namespace of users is never asked for, so the host's it is.
      {"UsernsMode", Only("host")},
      {"Umask", Umask},
      {"VolumeDriver", Only("local")},
      {"VolumesFrom", VolumesFrom},
  };
  return table;
}

std::vector<const std::map<std::string, Apply>*> Tables() {
  return {&NamespaceFields(), &ResourceFields(), &BlkioFields(),
          &DeviceFields(), &OtherFields()};
}

const Apply* Find(const std::string& name) {
  for (const auto* table : Tables()) {
    const auto found = table->find(name);
    if (found != table->end()) return &found->second;
  }
  return nullptr;
}

Status ShareInit(CreateRequest& request) {
  for (NamespaceOptions* options :
       {request.sandbox.mutable_namespaces(),
        request.container.mutable_security()->mutable_namespaces()}) {
    if (options->pid() != state::v1::NAMESPACE_MODE_CONTAINER) {
      return Unimplemented("HostConfig.Init: not with that PidMode");
    }
    options->set_pid(state::v1::NAMESPACE_MODE_POD);
  }
  return OkStatus();
}

}  // namespace

std::set<std::string> HostFieldNames() {
  std::set<std::string> names;
  for (const auto* table : Tables()) {
    for (const auto& [name, apply] : *table) names.insert(name);
  }
  return names;
}

Status ConvertHostConfig(const Json& host, CreateRequest& request) {
  if (!host.is_object()) return InvalidArgument("HostConfig: not an object");
  JsonReader reader(host, "HostConfig");
  // The defaults of what may be missing altogether.
  auto& security = *request.container.mutable_security();
  security.set_default_paths(true);
  security.mutable_seccomp()->set_type(SecurityProfile::RUNTIME_DEFAULT);
  request.container.mutable_log()->set_format(state::v1::LOG_FORMAT_JSON_FILE);
  for (NamespaceOptions* options :
       {request.sandbox.mutable_namespaces(), security.mutable_namespaces()}) {
    options->set_pid(state::v1::NAMESPACE_MODE_CONTAINER);
  }
  for (const auto& [name, value] : host.members()) {
    const Apply* apply = Find(name);
    if (apply == nullptr) {
      if (IsUnset(value)) continue;
      return Unimplemented("HostConfig." + name + " is not supported");
    }
    RETURN_IF_ERROR((*apply)(Field{name, reader, request}));
    RETURN_IF_ERROR(reader.status());
  }
  if (request.sandbox.namespaces().uts() == state::v1::NAMESPACE_MODE_NODE &&
      !request.sandbox.hostname().empty()) {
    return InvalidArgument("conflicting options: hostname and the UTS mode");
  }
  if (request.init) RETURN_IF_ERROR(ShareInit(request));
  // SELinux keeps containers from the processes and memory of others.
  state::v1::SandboxSecurity& sandbox = *request.sandbox.mutable_security();
  const NamespaceOptions& namespaces = security.namespaces();
  if (!sandbox.has_selinux() &&
      (security.privileged() ||
       namespaces.pid() == state::v1::NAMESPACE_MODE_NODE ||
       namespaces.ipc() == state::v1::NAMESPACE_MODE_NODE)) {
    sandbox.mutable_selinux()->set_disabled(true);
  }
  // A privileged container is not confined, whatever else is said.
  if (security.privileged()) {
    security.set_default_paths(false);
    security.mutable_seccomp()->set_type(SecurityProfile::UNCONFINED);
  }
  return OkStatus();
}

}  // namespace berth::docker
