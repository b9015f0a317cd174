// features, spec.
#include <fcntl.h>
#include <unistd.h>

#include "base/sys/file.h"
#include "base/sys/mount_options.h"
#include "oci/cli/commands.h"
#include "oci/init/privileges.h"
#include "oci/spec/features.h"
#include "oci/spec/serialize.h"

namespace berth::oci {
namespace {

MountSpec Filesystem(const std::string& destination, const std::string& type,
                     const std::vector<std::string>& options) {
  MountSpec mount;
  mount.destination = destination;
  mount.type = type;
  mount.source = type;
  mount.options = options;
  return mount;
}

ProcessSpec ExampleProcess() {
  ProcessSpec process;
  process.terminal = true;
  process.args = {"sh"};
  process.env = {
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      "TERM=xterm"};
  process.cwd = "/";
  process.no_new_privileges = true;
  process.capabilities.emplace();
  for (auto* set :
       {&process.capabilities->bounding, &process.capabilities->effective,
        &process.capabilities->permitted}) {
    *set = {"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"};
  }
  process.rlimits = {{"RLIMIT_NOFILE", 1024, 1024}};
  return process;
}

// A shell in a read-only root: something to start from.
Spec ExampleSpec() {
  Spec spec;
  spec.oci_version = kOciVersionMax;
  spec.process = ExampleProcess();
  spec.root = {"rootfs", true};
  spec.hostname = "berth";
  spec.mounts = {
      Filesystem("/proc", "proc", {}),
      Filesystem("/dev", "tmpfs",
                 {"nosuid", "strictatime", "mode=755", "size=65536k"}),
      Filesystem("/dev/pts", "devpts",
                 {"nosuid", "noexec", "newinstance", "ptmxmode=0666",
                  "mode=0620", "gid=5"}),
      Filesystem("/dev/shm", "tmpfs",
                 {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}),
      Filesystem("/dev/mqueue", "mqueue", {"nosuid", "noexec", "nodev"}),
      Filesystem("/sys", "sysfs", {"nosuid", "noexec", "nodev", "ro"}),
      Filesystem("/sys/fs/cgroup", "cgroup",
                 {"nosuid", "noexec", "nodev", "relatime", "ro"})};
  for (const NamespaceType type :
       {NamespaceType::kPid, NamespaceType::kNetwork, NamespaceType::kIpc,
        NamespaceType::kUts, NamespaceType::kMount, NamespaceType::kCgroup}) {
    spec.linux.namespaces.push_back({type, ""});
  }
  DeviceRule deny_all;
  deny_all.access = "rwm";
  spec.linux.resources.emplace();
  spec.linux.resources->devices = {deny_all};
  spec.linux.masked_paths = {"/proc/acpi",
                             "/proc/asound",
                             "/proc/kcore",
                             "/proc/keys",
                             "/proc/latency_stats",
                             "/proc/timer_list",
                             "/proc/timer_stats",
                             "/proc/sched_debug",
                             "/sys/firmware",
                             "/proc/scsi",
                             "/sys/devices/virtual/powercap"};
  spec.linux.readonly_paths = {"/proc/bus", "/proc/fs", "/proc/irq",
                               "/proc/sys", "/proc/sysrq-trigger"};
  return spec;
}

// What anybody may run: ids of the caller alone, the host's network and sysfs,
// and no limits.
void BecomeRootless(Spec& spec) {
  std::erase_if(spec.linux.namespaces, [](const NamespaceSpec& entry) {
    return entry.type == NamespaceType::kNetwork;
  });
  spec.linux.namespaces.push_back({NamespaceType::kUser, ""});
  spec.linux.uid_mappings = {{0, geteuid(), 1}};
  spec.linux.gid_mappings = {{0, getegid(), 1}};
  spec.linux.resources.reset();
  for (MountSpec& mount : spec.mounts) {
    if (mount.destination == "/sys") {
      mount.type = "none";
      mount.source = "/sys";
      mount.options = {"rbind", "nosuid", "noexec", "nodev", "ro"};
    }
    // There is no such group in there.
    std::erase(mount.options, "gid=5");
  }
}

const std::vector<FlagSpec> kSpecFlags = {
    {"bundle", "b", true, "directory to write config.json to"},
    {"rootless", "", false, "for a container of the caller's own user"},
};

}  // namespace

StatusOr<int> RunFeatures(const Invocation& invocation) {
  RETURN_IF_ERROR(ParseCommand(invocation, {}, 0, 0).status());
  FeatureLists lists;
  lists.mount_options = KnownMountOptions();
  lists.capabilities = KernelCapabilities();
  RETURN_IF_ERROR(WriteAll(STDOUT_FILENO, FeaturesJson(lists) + "\n"));
  return 0;
}

StatusOr<int> RunSpec(const Invocation& invocation) {
  ASSIGN_OR_RETURN(const Flags flags,
                   ParseCommand(invocation, kSpecFlags, 0, 0));
  const std::string path = flags.Get("bundle", ".") + "/config.json";
  // O_EXCL: never over a configuration that somebody wrote.
  ASSIGN_OR_RETURN(const UniqueFd file,
                   OpenFile(path, O_WRONLY | O_CREAT | O_EXCL, 0666));
  Spec spec = ExampleSpec();
  if (flags.On("rootless")) BecomeRootless(spec);
  RETURN_IF_ERROR(WriteAll(file.get(), SerializeSpec(spec) + "\n"));
  return 0;
}

}  // namespace berth::oci
