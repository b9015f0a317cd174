#include "oci/spec/serialize.h"

#include <string>

#include "oci/spec/serialize_parts.h"

namespace berth::oci {
namespace {

void WriteUser(JsonWriter& writer, const User& user) {
  writer.BeginObject();
  writer.Always("uid", user.uid);
  writer.Always("gid", user.gid);
  writer.Member("umask", user.umask);
  if (!user.additional_gids.empty()) {
    writer.Key("additionalGids");
    writer.BeginArray();
    for (const gid_t gid : user.additional_gids) writer.Value(gid);
    writer.EndArray();
  }
  writer.EndObject();
}

void WriteRlimit(JsonWriter& writer, const Rlimit& limit) {
  writer.BeginObject();
  writer.Always("type", limit.type);
  writer.Always("soft", limit.soft);
  writer.Always("hard", limit.hard);
  writer.EndObject();
}

void WriteCapabilities(JsonWriter& writer, const Capabilities& capabilities) {
  writer.BeginObject();
  writer.Member("bounding", capabilities.bounding);
  writer.Member("effective", capabilities.effective);
  writer.Member("inheritable", capabilities.inheritable);
  writer.Member("permitted", capabilities.permitted);
  writer.Member("ambient", capabilities.ambient);
  writer.EndObject();
}

void WriteProcess(JsonWriter& writer, const ProcessSpec& process) {
  writer.BeginObject();
  writer.Flag("terminal", process.terminal);
  if (process.console_size.has_value()) {
    writer.Key("consoleSize");
    writer.BeginObject();
    writer.Always("height", process.console_size->height);
    writer.Always("width", process.console_size->width);
    writer.EndObject();
  }
  writer.Key("user");
  WriteUser(writer, process.user);
  writer.Member("args", process.args);
  writer.Member("env", process.env);
  writer.Always("cwd", process.cwd);
  if (process.capabilities.has_value()) {
    writer.Key("capabilities");
    WriteCapabilities(writer, *process.capabilities);
  }
  writer.List("rlimits", process.rlimits, WriteRlimit);
  writer.Flag("noNewPrivileges", process.no_new_privileges);
  writer.Member("oomScoreAdj", process.oom_score_adj);
  writer.Member("apparmorProfile", process.apparmor_profile);
  writer.Member("selinuxLabel", process.selinux_label);
  WriteScheduling(writer, process);
  writer.EndObject();
}

void WriteMount(JsonWriter& writer, const MountSpec& mount) {
  writer.BeginObject();
  writer.Always("destination", mount.destination);
  writer.Member("type", mount.type);
  writer.Member("source", mount.source);
  writer.Member("options", mount.options);
  writer.List("uidMappings", mount.uid_mappings, WriteIdMapping);
  writer.List("gidMappings", mount.gid_mappings, WriteIdMapping);
  writer.EndObject();
}

void WriteHook(JsonWriter& writer, const Hook& hook) {
  writer.BeginObject();
  writer.Always("path", hook.path);
  writer.Member("args", hook.args);
  writer.Member("env", hook.env);
  writer.Member("timeout", hook.timeout);
  writer.EndObject();
}

void WriteHooks(JsonWriter& writer, const Hooks& hooks) {
  writer.BeginObject();
  writer.List("prestart", hooks.prestart, WriteHook);
  writer.List("createRuntime", hooks.create_runtime, WriteHook);
  writer.List("createContainer", hooks.create_container, WriteHook);
  writer.List("startContainer", hooks.start_container, WriteHook);
  writer.List("poststart", hooks.poststart, WriteHook);
  writer.List("poststop", hooks.poststop, WriteHook);
  writer.EndObject();
}

void WriteSpec(JsonWriter& writer, const Spec& spec) {
  writer.BeginObject();
  writer.Always("ociVersion", spec.oci_version);
  if (spec.process.has_value()) {
    writer.Key("process");
    WriteProcess(writer, *spec.process);
  }
  writer.Key("root");
  writer.BeginObject();
  writer.Always("path", spec.root.path);
  writer.Flag("readonly", spec.root.readonly);
  writer.EndObject();
  writer.Member("hostname", spec.hostname);
  writer.Member("domainname", spec.domainname);
  writer.List("mounts", spec.mounts, WriteMount);
  if (spec.hooks != Hooks()) {
    writer.Key("hooks");
    WriteHooks(writer, spec.hooks);
  }
  writer.Member("annotations", spec.annotations);
  writer.Key("linux");
  WriteLinux(writer, spec.linux);
  writer.EndObject();
}

template <typename T>
std::string Serialize(const T& value,
                      void (*write)(JsonWriter& writer, const T& value)) {
  JsonWriter writer;
  write(writer, value);
  return writer.Take();
}

}  // namespace

std::string SerializeSpec(const Spec& spec) {
  return Serialize(spec, WriteSpec);
}

std::string SerializeProcess(const ProcessSpec& process) {
  return Serialize(process, WriteProcess);
}

std::string SerializeResources(const Resources& resources) {
  return Serialize(resources, WriteResources);
}

std::string SerializeSeccomp(const Seccomp& seccomp) {
  return Serialize(seccomp, WriteSeccomp);
}

}  // namespace berth::oci
