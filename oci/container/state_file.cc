#include "oci/container/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs/tree.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/unique_fd.h"

namespace berth::oci {
namespace {

constexpr char kStateName[] = "state.json";
constexpr uint64_t kMaxStateBytes = 4 << 20;
constexpr size_t kMaxIdLength = 1024;

Json CommonMembers(const OciState& state) {
  Json json = {{"ociVersion", state.oci_version},
               {"id", state.id},
               {"pid", state.pid},
               {"status", StatusName(state.status)},
               {"bundle", state.bundle}};
  if (!state.annotations.empty()) json["annotations"] = state.annotations;
  return json;
}

Json AllMembers(const OciState& state) {
  Json json = CommonMembers(state);
  json["rootfs"] = state.rootfs;
  json["created"] = FormatRfc3339(state.created);
  json["owner"] = state.owner;
  return json;
}

}  // namespace

const char* StatusName(ContainerStatus status) {
  switch (status) {
    case ContainerStatus::kCreating:
      return "creating";
    case ContainerStatus::kCreated:
      return "created";
    case ContainerStatus::kRunning:
      return "running";
    case ContainerStatus::kPaused:
      return "paused";
    case ContainerStatus::kStopped:
      return "stopped";
  }
  return "unknown";
}

std::string ToJson(const OciState& state) {
  return DumpJson(AllMembers(state), 2);
}

std::string ToJsonLine(const OciState& state) {
  return DumpJson(AllMembers(state));
}

std::string ToHookJson(const OciState& state) {
  return DumpJson(CommonMembers(state));
}

Status StateFile::Save() const {
  Json json = {{"id", id},
               {"ociVersion", oci_version},
               {"pid", pid},
               {"startTime", start_time},
               {"bundle", bundle},
               {"rootfs", rootfs},
               {"created", created},
               {"cgroupPath", cgroup_path},
               {"systemdCgroup", systemd_cgroup},
               {"crunDialect", crun_dialect},
               {"madeMount", made_mount},
               {"annotations", annotations}};
  if (!resctrl_tasks.empty()) {
    json["resctrl"] = {{"control", resctrl_control},
                       {"monitoring", resctrl_monitoring},
                       {"tasks", resctrl_tasks}};
  }
  return ReplaceFile(Path(kStateName), DumpJson(json), 0600);
}

StatusOr<StateFile> StateFile::Load(const std::string& root,
                                    const std::string& id) {
  RETURN_IF_ERROR(CheckContainerId(id));
  StateFile state;
  state.directory = root + "/" + id;
  const auto text = ReadFile(state.Path(kStateName), kMaxStateBytes);
  if (IsNotFound(text.status())) {
    return NotFound("container " + Quoted(id) + " does not exist");
  }
  RETURN_IF_ERROR(text.status());
  ASSIGN_OR_RETURN(const Json json, ParseJson(*text, "state.json of " + id));
  JsonReader reader(json, "state.json of " + id);
  reader.Get("id", state.id);
  reader.Get("ociVersion", state.oci_version);
  reader.Get("pid", state.pid);
  reader.Get("startTime", state.start_time);
  reader.Get("bundle", state.bundle);
  reader.Get("rootfs", state.rootfs);
  reader.Get("created", state.created);
  reader.Get("cgroupPath", state.cgroup_path);
  reader.Get("systemdCgroup", state.systemd_cgroup);
  reader.Get("crunDialect", state.crun_dialect);
  reader.Get("madeMount", state.made_mount);
  reader.Get("annotations", state.annotations);
  RETURN_IF_ERROR(reader.status());
  if (const Json* const found = json.Find("resctrl")) {
    JsonReader resctrl(*found, "resctrl");
    resctrl.Get("control", state.resctrl_control);
    resctrl.Get("monitoring", state.resctrl_monitoring);
    resctrl.Get("tasks", state.resctrl_tasks);
    RETURN_IF_ERROR(resctrl.status());
  }
  return state;
}

std::string SeccompCacheOf(const std::string& container_directory) {
  return container_directory.substr(0, container_directory.rfind('/')) +
         "/@seccomp";
}

Status CheckContainerId(const std::string& id) {
  bool good =
      !id.empty() && id.size() <= kMaxIdLength && id != "." && id != "..";
  for (const char c : id) {
    good &= (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
            (c >= '0' && c <= '9') || c == '_' || c == '+' || c == '.' ||
            c == '-';
  }
  if (!good)
    return InvalidArgument("invalid container ID format: " + Quoted(id));
  return OkStatus();
}

Status RemoveStateDirectory(const std::string& directory) {
  const auto opened = OpenFile(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (IsNotFound(opened.status())) return OkStatus();
  RETURN_IF_ERROR(opened.status());
  ASSIGN_OR_RETURN(const std::vector<std::string> names,
                   ListDirectory(opened->get()));
  for (const std::string& name : names) {
    if (name == kNotifyDirectory) {
      // A privileged container may have put there what it likes.
      RETURN_IF_ERROR(RemoveTree(opened->get(), name));
      continue;
    }
    if (unlinkat(opened->get(), name.c_str(), 0) != 0 && errno != ENOENT) {
      return Errno(errno, "remove " + Quoted(directory + "/" + name));
    }
  }
  if (rmdir(directory.c_str()) != 0 && errno != ENOENT) {
    return Errno(errno, "rmdir " + Quoted(directory));
  }
  return OkStatus();
}

Status ReplaceFile(const std::string& path, std::string_view contents,
                   mode_t mode) {
  const size_t slash = path.rfind('/') + 1;
  const std::string temporary =
      path.substr(0, slash) + "." + path.substr(slash);
  unlink(temporary.c_str());
  ASSIGN_OR_RETURN(
      const UniqueFd file,
      OpenFile(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode));
  RETURN_IF_ERROR_AS(WriteAll(file.get(), contents),
                     "write " + Quoted(temporary));
  if (rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    unlink(temporary.c_str());
    return Errno(error, "rename to " + Quoted(path));
  }
  return OkStatus();
}

}  // namespace berth::oci
