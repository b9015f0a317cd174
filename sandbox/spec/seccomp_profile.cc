// The system calls of an ordinary container, and Docker's profile format.
//
// What the default profile leaves out, besides what a capability brings back:
// kernel keyrings (not in any namespace), io_uring (a way around this filter,
// and a long list of holes), userfaultfd and perf (help with kernel races),
// open_by_handle_at (leaves the root: CVE-2014-3519 and its kin), new
// namespaces and mounts, module and kexec loading, the clock, swap, reboot,
// obsolete calls that only old exploits use.
#include <errno.h>
#include <sys/utsname.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/json.h"
#include "base/strings.h"
#include "sandbox/spec/security.h"

namespace berth::sandbox {
namespace {

constexpr const char kAllow[] = "SCMP_ACT_ALLOW";
constexpr const char kErrno[] = "SCMP_ACT_ERRNO";

// Names are given for every architecture together; the filter's compiler
// passes over those that one does not have.
constexpr const char* kEverybody[] = {
    // Files: names and attributes.
    "access chdir chmod chown chown32 creat faccessat faccessat2 fchdir fchmod "
    "fchmodat fchmodat2 fchown fchown32 fchownat getcwd getxattr getxattrat "
    "fgetxattr lgetxattr fsetxattr lsetxattr setxattr setxattrat flistxattr "
    "listxattr listxattrat llistxattr fremovexattr lremovexattr removexattr "
    "removexattrat lchown lchown32 link linkat mkdir mkdirat mknod mknodat "
    "open openat openat2 readlink readlinkat rename renameat renameat2 rmdir "
    "symlink symlinkat umask unlink unlinkat utime utimes utimensat "
    "utimensat_time64 futimesat name_to_handle_at",
    // Files: information.
    "stat stat64 fstat fstat64 fstatat64 lstat lstat64 newfstatat statx statfs "
    "statfs64 fstatfs fstatfs64 ustat oldfstat oldlstat oldstat statmount "
    "listmount getdents getdents64 readdir",
    // Files: contents and descriptors.
    "_llseek cachestat close close_range copy_file_range dup dup2 dup3 "
    "fadvise64 fadvise64_64 arm_fadvise64_64 fallocate fcntl fcntl64 fdatasync "
    "flock fsync ftruncate ftruncate64 ioctl lseek pread64 preadv preadv2 "
    "pwrite64 pwritev pwritev2 read readahead readv sendfile sendfile64 splice "
    "sync sync_file_range sync_file_range2 syncfs tee truncate truncate64 "
    "vmsplice write writev memfd_create memfd_secret",
    // Waiting for descriptors.
    "_newselect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait "
    "epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 poll ppoll "
    "ppoll_time64 pselect6 pselect6_time64 select signalfd signalfd4 "
    "inotify_add_watch inotify_init inotify_init1 inotify_rm_watch "
    "fanotify_mark "
    "pipe pipe2",
    // Asynchronous input and output, the old kind.
    "io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 "
    "io_setup io_submit",
    // Memory.
    "brk madvise map_shadow_stack membarrier mincore mlock mlock2 mlockall "
    "mmap "
    "mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc "
    "pkey_free pkey_mprotect process_mrelease remap_file_pages",
    // Processes and threads.
    "arch_prctl capget capset execve execveat exit exit_group fork vfork "
    "getpgid "
    "getpgrp getpid getppid getpriority getrlimit getrusage getsid gettid kill "
    "modify_ldt nice pause pidfd_open pidfd_send_signal "
    "prctl prlimit64 restart_syscall rseq sched_get_priority_max "
    "sched_get_priority_min sched_getaffinity sched_getattr sched_getparam "
    "sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 "
    "sched_setaffinity sched_setattr sched_setparam sched_setscheduler "
    "sched_yield seccomp set_robust_list get_robust_list set_thread_area "
    "get_thread_area set_tid_address setpgid setpriority setrlimit setsid "
    "tgkill tkill ugetrlimit wait4 waitid waitpid landlock_add_rule "
    "landlock_create_ruleset landlock_restrict_self uretprobe getcpu "
    "ioprio_get "
    "ioprio_set sysinfo times uname olduname oldolduname",
    // Who one is.
    "getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 "
    "getresgid getresgid32 getresuid getresuid32 getuid getuid32 setfsgid "
    "setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 "
    "setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid "
    "setreuid32 setuid setuid32 lsm_get_self_attr lsm_list_modules "
    "lsm_set_self_attr",
    // Signals.
    "rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn "
    "rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo "
    "sigaction sigaltstack signal sigpending sigprocmask sigreturn sigsuspend",
    // Time, without setting it.
    "adjtimex alarm clock_getres clock_getres_time64 "
    "clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 "
    "getitimer gettimeofday nanosleep setitimer time timer_create timer_delete "
    "timer_getoverrun timer_gettime timer_gettime64 timer_settime "
    "timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 "
    "timerfd_settime timerfd_settime64",
    // Between processes.
    "futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake ipc "
    "mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 "
    "mq_timedsend mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd "
    "semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt "
    "shmget",
    // Sockets; socket(2) itself is below.
    "accept accept4 bind connect getpeername getsockname getsockopt listen "
    "recv "
    "recvfrom recvmmsg recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto "
    "setsockopt shutdown socketcall socketpair",
    "getrandom",
    // Of other architectures.
    "breakpoint cacheflush set_tls swapcontext riscv_flush_icache "
    "riscv_hwprobe s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr "
    "sync_file_range2 switch_endian",
};

// What a capability brings with it.
struct Privilege {
  const char* capability;
  const char* calls;
};
constexpr Privilege kPrivileges[] = {
    {"CAP_DAC_READ_SEARCH", "open_by_handle_at"},
    {"CAP_SYS_ADMIN",
     "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick "
     "lookup_dcookie mount mount_setattr move_mount open_tree perf_event_open "
     "pivot_root quotactl quotactl_fd setdomainname sethostname setns syslog "
     "umount umount2 unshare vhangup"},
    {"CAP_SYS_BOOT", "reboot"},
    {"CAP_SYS_CHROOT", "chroot"},
    {"CAP_SYS_MODULE", "delete_module finit_module init_module"},
    {"CAP_SYS_PACCT", "acct"},
    {"CAP_SYS_PTRACE",
     "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev "
     "ptrace"},
    {"CAP_SYS_RAWIO", "ioperm iopl"},
    {"CAP_SYS_TIME",
     "adjtimex clock_adjtime clock_adjtime64 clock_settime clock_settime64 "
     "settimeofday stime"},
    {"CAP_SYS_TTY_CONFIG", "vhangup"},
    {"CAP_SYS_NICE",
     "get_mempolicy mbind migrate_pages move_pages set_mempolicy "
     "set_mempolicy_home_node"},
    {"CAP_SYSLOG", "syslog"},
    {"CAP_BPF", "bpf"},
    {"CAP_PERFMON", "perf_event_open"},
};

// All flags that make a namespace (clone(2)).
constexpr uint64_t kNamespaceFlags = 0x7E020000;
// socket(2): all families but the kernel's cryptography (AF_ALG,
// CVE-2026-31431) and virtual machine sockets (AF_VSOCK), which reach the host
// whatever the network namespace says. The kernel takes the lower half of the
// argument and a filter compares all of it: those above are named, so that no
// upper half makes a family another one.
constexpr uint64_t kAfAlg = 38;
constexpr uint64_t kFamiliesAbove[] = {39, 41, 42, 43, 44, 45};
// personality(2): PER_LINUX, PER_LINUX32, UNAME26, both, and the question.
constexpr uint64_t kPersonalities[] = {0, 8, 0x20000, 0x20008, 0xffffffff};

oci::SeccompRule Allow(const std::string& names,
                       std::vector<oci::SeccompArg> args = {}) {
  oci::SeccompRule rule;
  rule.names = Split(names, ' ');
  rule.action = kAllow;
  rule.args = std::move(args);
  return rule;
}

oci::SeccompArg Compare(uint32_t index, const char* op, uint64_t value,
                        uint64_t value_two = 0) {
  return oci::SeccompArg{index, value, value_two, op};
}

std::vector<std::string> Architectures() {
#if defined(__x86_64__)
  return {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
#elif defined(__aarch64__)
  return {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"};
#else
  return {};  // the native one alone
#endif
}

// The name that profiles have for what we run on.
constexpr const char* kArchitecture =
#if defined(__x86_64__)
    "amd64";
constexpr const char* kSeccompArchitecture = "SCMP_ARCH_X86_64";
#elif defined(__aarch64__)
    "arm64";
constexpr const char* kSeccompArchitecture = "SCMP_ARCH_AARCH64";
#elif defined(__riscv)
    "riscv64";
constexpr const char* kSeccompArchitecture = "SCMP_ARCH_RISCV64";
#else
    "other";
constexpr const char* kSeccompArchitecture = "";
#endif

// ---- Docker's format --------------------------------------------------------

bool Contains(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

using KernelVersion = std::pair<unsigned, unsigned>;

// "4.8", "6.1.0-13-amd64" -> major and minor.
std::optional<KernelVersion> ParseKernelVersion(std::string_view text) {
  KernelVersion version;
  const char* const end = text.data() + text.size();
  const auto major = std::from_chars(text.data(), end, version.first);
  if (major.ec != std::errc() || major.ptr == end || *major.ptr != '.') {
    return std::nullopt;
  }
  const auto minor = std::from_chars(major.ptr + 1, end, version.second);
  if (minor.ec != std::errc()) return std::nullopt;
  return version;
}

bool KernelIsAtLeast(const std::string& version) {
  struct utsname name;
  if (uname(&name) != 0) return false;
  const std::optional<KernelVersion> wanted = ParseKernelVersion(version);
  const std::optional<KernelVersion> running = ParseKernelVersion(name.release);
  return wanted.has_value() && running.has_value() && *running >= *wanted;
}

// The conditions under which a rule counts, or does not.
struct Conditions {
  std::vector<std::string> caps;
  std::vector<std::string> arches;
  std::string min_kernel;

  static StatusOr<Conditions> Parse(const Json* json, const std::string& path) {
    Conditions conditions;
    if (json == nullptr) return conditions;
    JsonReader reader(*json, path);
    reader.Get("caps", conditions.caps);
    reader.Get("arches", conditions.arches);
    reader.Get("minKernel", conditions.min_kernel);
    RETURN_IF_ERROR(reader.status());
    return conditions;
  }

  // For includes: everything listed must be there.
  bool AllHold(const std::vector<std::string>& bounding) const {
    for (const std::string& cap : caps) {
      if (!Contains(bounding, cap)) return false;
    }
    if (!arches.empty() && !Contains(arches, kArchitecture)) return false;
    return min_kernel.empty() || KernelIsAtLeast(min_kernel);
  }

  // For excludes: any of them is enough.
  bool AnyHolds(const std::vector<std::string>& bounding) const {
    for (const std::string& cap : caps) {
      if (Contains(bounding, cap)) return true;
    }
    if (Contains(arches, kArchitecture)) return true;
    return !min_kernel.empty() && KernelIsAtLeast(min_kernel);
  }
};

StatusOr<std::vector<oci::SeccompArg>> ParseArgs(JsonReader& rule,
                                                 const std::string& path) {
  std::vector<oci::SeccompArg> args;
  for (const Json& json : rule.Array("args")) {
    oci::SeccompArg arg;
    JsonReader reader(json, path + ".args");
    reader.Get("index", arg.index);
    reader.Get("value", arg.value);
    reader.Get("valueTwo", arg.value_two);
    reader.Get("op", arg.op);
    RETURN_IF_ERROR(reader.status());
    args.push_back(std::move(arg));
  }
  return args;
}

Status ParseRule(const Json& json, const std::vector<std::string>& bounding,
                 std::vector<oci::SeccompRule>& rules) {
  const std::string path = "seccomp.syscalls";
  JsonReader reader(json, path);
  oci::SeccompRule rule;
  std::string name;
  reader.Get("names", rule.names);
  reader.Get("name", name);
  if (!name.empty()) rule.names.push_back(name);
  reader.Get("action", rule.action);
  reader.Get("errnoRet", rule.errno_ret);
  ASSIGN_OR_RETURN(rule.args, ParseArgs(reader, path));
  ASSIGN_OR_RETURN(
      const Conditions includes,
      Conditions::Parse(reader.Find("includes"), path + ".includes"));
  ASSIGN_OR_RETURN(
      const Conditions excludes,
      Conditions::Parse(reader.Find("excludes"), path + ".excludes"));
  RETURN_IF_ERROR(reader.status());
  if (!includes.AllHold(bounding) || excludes.AnyHolds(bounding)) {
    return OkStatus();
  }
  rules.push_back(std::move(rule));
  return OkStatus();
}

Status ParseArchitectures(JsonReader& reader,
                          std::vector<std::string>& architectures) {
  reader.Get("architectures", architectures);
  for (const Json& json : reader.Array("archMap")) {
    std::string architecture;
    std::vector<std::string> below;
    JsonReader entry(json, "seccomp.archMap");
    entry.Get("architecture", architecture);
    entry.Get("subArchitectures", below);
    RETURN_IF_ERROR(entry.status());
    if (architecture != kSeccompArchitecture) continue;
    architectures.push_back(architecture);
    architectures.insert(architectures.end(), below.begin(), below.end());
  }
  return reader.status();
}

}  // namespace

oci::Seccomp DefaultSeccompProfile(const std::vector<std::string>& bounding) {
  oci::Seccomp profile;
  profile.default_action = kErrno;
  profile.default_errno_ret = EPERM;
  profile.architectures = Architectures();
  for (const char* names : kEverybody) profile.syscalls.push_back(Allow(names));
  for (const Privilege& privilege : kPrivileges) {
    if (!Contains(bounding, privilege.capability)) continue;
    profile.syscalls.push_back(Allow(privilege.calls));
  }
  profile.syscalls.push_back(
      Allow("socket", {Compare(0, "SCMP_CMP_LT", kAfAlg)}));
  for (const uint64_t family : kFamiliesAbove) {
    profile.syscalls.push_back(
        Allow("socket", {Compare(0, "SCMP_CMP_EQ", family)}));
  }
  for (const uint64_t value : kPersonalities) {
    profile.syscalls.push_back(
        Allow("personality", {Compare(0, "SCMP_CMP_EQ", value)}));
  }
  // ptrace(2) has been safe beside a filter since Linux 4.8.
  if (!Contains(bounding, "CAP_SYS_PTRACE")) {
    profile.syscalls.push_back(
        Allow("process_vm_readv process_vm_writev ptrace"));
  }
  if (!Contains(bounding, "CAP_SYS_ADMIN")) {
    profile.syscalls.push_back(
        Allow("clone", {Compare(0, "SCMP_CMP_MASKED_EQ", kNamespaceFlags, 0)}));
    // The flags of clone3 are in memory, where a filter cannot look. ENOSYS
    // makes the C library fall back on clone.
    oci::SeccompRule absent;
    absent.names = {"clone3"};
    absent.action = kErrno;
    absent.errno_ret = ENOSYS;
    profile.syscalls.push_back(std::move(absent));
  }
  return profile;
}

StatusOr<oci::Seccomp> ParseSeccompProfile(
    std::string_view text, const std::vector<std::string>& bounding) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(text, "seccomp profile"));
  oci::Seccomp profile;
  JsonReader reader(json, "seccomp");
  reader.Get("defaultAction", profile.default_action);
  reader.Get("defaultErrnoRet", profile.default_errno_ret);
  reader.Get("flags", profile.flags);
  reader.Get("listenerPath", profile.listener_path);
  reader.Get("listenerMetadata", profile.listener_metadata);
  RETURN_IF_ERROR(ParseArchitectures(reader, profile.architectures));
  for (const Json& rule : reader.Array("syscalls")) {
    RETURN_IF_ERROR(ParseRule(rule, bounding, profile.syscalls));
  }
  RETURN_IF_ERROR(reader.status());
  if (profile.default_action.empty()) {
    return InvalidArgument("seccomp.defaultAction: missing");
  }
  return profile;
}

}  // namespace berth::sandbox
