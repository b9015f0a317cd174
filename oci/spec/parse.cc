#include "oci/spec/parse.h"

#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "oci/spec/parse_parts.h"

namespace berth::oci {
namespace {

StatusOr<User> UserFromJson(const Json& json, const std::string& path) {
  JsonReader reader(json, path);
  User user;
  reader.Get("uid", user.uid);
  reader.Get("gid", user.gid);
  reader.Get("umask", user.umask);
  for (const Json& gid : reader.Array("additionalGids")) {
    const std::optional<uint64_t> number = gid.AsUint();
    if (!number.has_value() || *number > UINT32_MAX) {
      reader.Fail("additionalGids", "is not a list of group ids");
      break;
    }
    user.additional_gids.push_back(static_cast<gid_t>(*number));
  }
  RETURN_IF_ERROR(reader.status());
  return user;
}

StatusOr<Rlimit> RlimitFromJson(const Json& json, const std::string& path) {
  JsonReader reader(json, path);
  Rlimit limit;
  reader.Get("type", limit.type);
  reader.Get("soft", limit.soft);
  reader.Get("hard", limit.hard);
  RETURN_IF_ERROR(reader.status());
  return limit;
}

StatusOr<Capabilities> CapabilitiesFromJson(const Json& json,
                                            const std::string& path) {
  JsonReader reader(json, path);
  Capabilities capabilities;
  reader.Get("bounding", capabilities.bounding);
  reader.Get("effective", capabilities.effective);
  reader.Get("inheritable", capabilities.inheritable);
  reader.Get("permitted", capabilities.permitted);
  reader.Get("ambient", capabilities.ambient);
  RETURN_IF_ERROR(reader.status());
  return capabilities;
}

StatusOr<ConsoleSize> ConsoleSizeFromJson(const Json& json,
                                          const std::string& path) {
  JsonReader reader(json, path);
  ConsoleSize size;
  reader.Get("width", size.width);
  reader.Get("height", size.height);
  RETURN_IF_ERROR(reader.status());
  return size;
}

StatusOr<ProcessSpec> ProcessFromJson(const Json& json,
                                      const std::string& path) {
  JsonReader reader(json, path);
  ProcessSpec process;
  reader.Get("terminal", process.terminal);
  reader.Get("args", process.args);
  reader.Get("env", process.env);
  reader.Get("cwd", process.cwd);
  reader.Get("noNewPrivileges", process.no_new_privileges);
  reader.Get("oomScoreAdj", process.oom_score_adj);
  reader.Get("apparmorProfile", process.apparmor_profile);
  reader.Get("selinuxLabel", process.selinux_label);
  ASSIGN_OR_RETURN(process.user, ParseMember(reader, "user", UserFromJson));
  ASSIGN_OR_RETURN(process.rlimits,
                   ParseList(reader, "rlimits", RlimitFromJson));
  RETURN_IF_ERROR(ParseOptional(reader, "capabilities", CapabilitiesFromJson,
                                process.capabilities));
  RETURN_IF_ERROR(ParseOptional(reader, "consoleSize", ConsoleSizeFromJson,
                                process.console_size));
  RETURN_IF_ERROR(
      ParseOptional(reader, "scheduler", SchedulerFromJson, process.scheduler));
  RETURN_IF_ERROR(ParseOptional(reader, "ioPriority", IoPriorityFromJson,
                                process.io_priority));
  RETURN_IF_ERROR(ParseOptional(reader, "execCPUAffinity", CpuAffinityFromJson,
                                process.exec_cpu_affinity));
  RETURN_IF_ERROR(reader.status());
  return process;
}

StatusOr<Root> RootFromJson(const Json& json, const std::string& path) {
  JsonReader reader(json, path);
  Root root;
  reader.Get("path", root.path);
  reader.Get("readonly", root.readonly);
  RETURN_IF_ERROR(reader.status());
  return root;
}

StatusOr<MountSpec> MountFromJson(const Json& json, const std::string& path) {
  JsonReader reader(json, path);
  MountSpec mount;
  reader.Get("destination", mount.destination);
  reader.Get("type", mount.type);
  reader.Get("source", mount.source);
  reader.Get("options", mount.options);
  ASSIGN_OR_RETURN(mount.uid_mappings,
                   ParseList(reader, "uidMappings", IdMappingFromJson));
  ASSIGN_OR_RETURN(mount.gid_mappings,
                   ParseList(reader, "gidMappings", IdMappingFromJson));
  RETURN_IF_ERROR(reader.status());
  return mount;
}

StatusOr<Hook> HookFromJson(const Json& json, const std::string& path) {
  JsonReader reader(json, path);
  Hook hook;
  reader.Get("path", hook.path);
  reader.Get("args", hook.args);
  reader.Get("env", hook.env);
  reader.Get("timeout", hook.timeout);
  RETURN_IF_ERROR(reader.status());
  return hook;
}

StatusOr<Hooks> HooksFromJson(const Json& json, const std::string& path) {
  JsonReader reader(json, path);
  Hooks hooks;
  ASSIGN_OR_RETURN(hooks.prestart, ParseList(reader, "prestart", HookFromJson));
  ASSIGN_OR_RETURN(hooks.create_runtime,
                   ParseList(reader, "createRuntime", HookFromJson));
  ASSIGN_OR_RETURN(hooks.create_container,
                   ParseList(reader, "createContainer", HookFromJson));
  ASSIGN_OR_RETURN(hooks.start_container,
                   ParseList(reader, "startContainer", HookFromJson));
  ASSIGN_OR_RETURN(hooks.poststart,
                   ParseList(reader, "poststart", HookFromJson));
  ASSIGN_OR_RETURN(hooks.poststop, ParseList(reader, "poststop", HookFromJson));
  RETURN_IF_ERROR(reader.status());
  return hooks;
}

StatusOr<Spec> SpecFromJson(const Json& json) {
  JsonReader reader(json, "");
  RETURN_IF_ERROR_AS(reader.status(), "config.json");
  Spec spec;
  reader.Get("ociVersion", spec.oci_version);
  reader.Get("hostname", spec.hostname);
  reader.Get("domainname", spec.domainname);
  reader.Get("annotations", spec.annotations);
  if (reader.Has("process")) {
    ASSIGN_OR_RETURN(spec.process,
                     ParseMember(reader, "process", ProcessFromJson));
  }
  ASSIGN_OR_RETURN(spec.root, ParseMember(reader, "root", RootFromJson));
  ASSIGN_OR_RETURN(spec.mounts, ParseList(reader, "mounts", MountFromJson));
  ASSIGN_OR_RETURN(spec.hooks, ParseMember(reader, "hooks", HooksFromJson));
  ASSIGN_OR_RETURN(spec.linux, ParseMember(reader, "linux", LinuxFromJson));
  RETURN_IF_ERROR(reader.status());
  return spec;
}

StatusOr<Json> ParseBounded(std::string_view text, const std::string& what) {
  if (text.size() > kMaxSpecBytes) {
    return InvalidArgument(what + " is larger than " +
                           std::to_string(kMaxSpecBytes) + " bytes");
  }
  return ParseJson(text, what);
}

}  // namespace

StatusOr<Spec> ParseSpec(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseBounded(text, "config.json"));
  return SpecFromJson(json);
}

StatusOr<ProcessSpec> ParseProcess(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseBounded(text, "process"));
  return ProcessFromJson(json, "process");
}

StatusOr<Resources> ParseResources(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseBounded(text, "resources"));
  return ResourcesFromJson(json, "resources");
}

}  // namespace berth::oci
