// config.json as plain structs: what a container is asked to be. Parsed by
// parse.h, checked by validate.h, written by serialize.h.
//
// Source: OCI runtime specification 1.3 (config.md, config-linux.md). Names
// follow the specification's, in our spelling; unset members are nullopt or
// empty. What is not here is not supported: the parser refuses it by name.
//
// Plain values: no invariants, thread-compatible, no I/O.
#ifndef OCI_SPEC_SPEC_H_
#define OCI_SPEC_SPEC_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "oci/spec/resources.h"
#include "oci/spec/scheduling.h"

namespace berth::oci {

// Ids as seen in the container's user namespace.
struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::optional<mode_t> umask;
  std::vector<gid_t> additional_gids;
  // Those of the runtime's caller are kept in their place (annotations.h).
  bool keep_groups = false;

  bool operator==(const User&) const = default;
};

struct Rlimit {
  std::string type;  // "RLIMIT_NOFILE"
  uint64_t soft = 0;
  uint64_t hard = 0;

  bool operator==(const Rlimit&) const = default;
};

// Each a list of "CAP_CHOWN" names.
struct Capabilities {
  std::vector<std::string> bounding;
  std::vector<std::string> effective;
  std::vector<std::string> inheritable;
  std::vector<std::string> permitted;
  std::vector<std::string> ambient;

  bool operator==(const Capabilities&) const = default;
};

struct ConsoleSize {
  uint32_t width = 0;
  uint32_t height = 0;

  bool operator==(const ConsoleSize&) const = default;
};

// The `process` object; also, alone, the file of `exec --process`.
struct ProcessSpec {
  bool terminal = false;
  std::optional<ConsoleSize> console_size;
  User user;
  std::vector<std::string> args;
  std::vector<std::string> env;  // "NAME=value"
  std::string cwd;
  std::optional<Capabilities> capabilities;  // unset: none at all
  std::vector<Rlimit> rlimits;
  bool no_new_privileges = false;
  std::optional<int> oom_score_adj;
  std::string apparmor_profile;
  std::string selinux_label;
  std::optional<Scheduler> scheduler;
  std::optional<IoPriority> io_priority;
  std::optional<CpuAffinity> exec_cpu_affinity;

  bool operator==(const ProcessSpec&) const = default;
};

struct Root {
  std::string path;  // relative to the bundle
  bool readonly = false;

  bool operator==(const Root&) const = default;
};

struct IdMapping {
  uint32_t container_id = 0;
  uint32_t host_id = 0;
  uint32_t size = 0;

  bool operator==(const IdMapping&) const = default;
};

struct MountSpec {
  std::string destination;
  std::string type;
  std::string source;
  std::vector<std::string> options;
  std::vector<IdMapping> uid_mappings;
  std::vector<IdMapping> gid_mappings;

  bool operator==(const MountSpec&) const = default;
};

struct Hook {
  std::string path;
  std::vector<std::string> args;
  std::vector<std::string> env;
  std::optional<int> timeout;  // seconds

  bool operator==(const Hook&) const = default;
};

struct Hooks {
  std::vector<Hook> prestart;
  std::vector<Hook> create_runtime;
  std::vector<Hook> create_container;
  std::vector<Hook> start_container;
  std::vector<Hook> poststart;
  std::vector<Hook> poststop;
  // Files that get what hooks of the runtime write (annotations.h); empty:
  // none.
  std::string output;
  std::string errors;

  bool operator==(const Hooks&) const = default;
};

enum class NamespaceType {
  kMount,
  kPid,
  kNetwork,
  kIpc,
  kUts,
  kUser,
  kCgroup,
  kTime
};

// The specification's word, "network".
const char* NamespaceTypeName(NamespaceType type);
std::optional<NamespaceType> NamespaceTypeFromName(const std::string& name);
// CLONE_NEWNET and so on.
int CloneFlag(NamespaceType type);
// The name under /proc/PID/ns, "net".
const char* ProcName(NamespaceType type);

struct NamespaceSpec {
  NamespaceType type = NamespaceType::kMount;
  std::string path;  // empty: a new one

  bool operator==(const NamespaceSpec&) const = default;
};

struct DeviceNode {
  std::string path;
  char type = 'c';  // 'c' or 'u' character, 'b' block, 'p' fifo
  int64_t major = 0;
  int64_t minor = 0;
  std::optional<mode_t> file_mode;
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;

  bool operator==(const DeviceNode&) const = default;
};

struct SeccompArg {
  uint32_t index = 0;
  uint64_t value = 0;
  uint64_t value_two = 0;  // SCMP_CMP_MASKED_EQ: value is the mask
  std::string op;          // "SCMP_CMP_EQ"

  bool operator==(const SeccompArg&) const = default;
};

struct SeccompRule {
  std::vector<std::string> names;
  std::string action;
  std::optional<uint32_t> errno_ret;
  std::vector<SeccompArg> args;

  bool operator==(const SeccompRule&) const = default;
};

struct Seccomp {
  std::string default_action;  // "SCMP_ACT_ERRNO"
  std::optional<uint32_t> default_errno_ret;
  std::vector<std::string> architectures;  // "SCMP_ARCH_X86_64"
  std::optional<std::vector<std::string>> flags;
  std::string listener_path;
  std::string listener_metadata;
  std::vector<SeccompRule> syscalls;
  // Ours, "berth.also": what these do not permit is not permitted either. They
  // ask no listener.
  std::vector<Seccomp> also = {};

  bool operator==(const Seccomp&) const = default;
};

struct Personality {
  std::string domain;              // "LINUX", "LINUX32" or empty
  std::vector<std::string> flags;  // none is known: warned of

  bool operator==(const Personality&) const = default;
};

// Of the processor's cache and memory bandwidth. Source: config-linux.md,
// "IntelRdt"; kernel Documentation/arch/x86/resctrl.rst.
struct IntelRdt {
  std::string clos_id = {};  // a group's name, "/" for the root's
  std::vector<std::string> schemata = {};
  std::string l3_cache_schema = {};  // "L3:0=f"
  std::string mem_bw_schema = {};    // "MB:0=20"
  bool enable_monitoring = false;

  bool has_schemas() const {
    return !schemata.empty() || !l3_cache_schema.empty() ||
           !mem_bw_schema.empty();
  }
  bool operator==(const IntelRdt&) const = default;
};

// Whether any rule is SCMP_ACT_NOTIFY.
bool Notifies(const Seccomp& seccomp);

// What a clock of a new time namespace shows more than the host's.
struct TimeOffset {
  int64_t secs = 0;
  uint32_t nanosecs = 0;  // below 1e9

  bool operator==(const TimeOffset&) const = default;
};

// The `linux` object.
struct Linux {
  std::vector<IdMapping> uid_mappings;
  std::vector<IdMapping> gid_mappings;
  std::map<std::string, std::string> sysctl;
  std::optional<Resources> resources;
  std::string cgroups_path;
  std::vector<NamespaceSpec> namespaces;
  std::vector<DeviceNode> devices;
  std::optional<Seccomp> seccomp;
  std::string rootfs_propagation;
  std::vector<std::string> masked_paths;
  std::vector<std::string> readonly_paths;
  std::string mount_label;
  std::string mount_label_option = "context";  // or as annotations.h says
  Personality personality;
  std::optional<MemoryPolicy> memory_policy;
  std::map<std::string, TimeOffset> time_offsets;  // by clock, "monotonic"
  // By the name of a link outside: its name inside, empty for the same.
  std::map<std::string, std::string> net_devices;
  std::optional<IntelRdt> intel_rdt;

  // The entry of this type; null if the container shares the caller's.
  const NamespaceSpec* Find(NamespaceType type) const;

  bool operator==(const Linux&) const = default;
};

struct Spec {
  std::string oci_version;
  std::optional<ProcessSpec> process;
  Root root;
  std::string hostname;
  std::string domainname;
  std::vector<MountSpec> mounts;
  Hooks hooks;
  std::map<std::string, std::string> annotations;
  Linux linux;

  bool operator==(const Spec&) const = default;
};

}  // namespace berth::oci

#endif  // OCI_SPEC_SPEC_H_
