#include "base/sys/confined_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "base/sys/file.h"
#include "base/thread.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

// ---- landlock(7) ----

// Bits that the headers of Debian 12 do not have yet.
constexpr uint64_t kTruncate = 1ULL << 14;  // ABI 3
constexpr uint64_t kTcp = 3;                // ABI 4: bind and connect
constexpr uint64_t kScopes = 3;  // ABI 6: abstract sockets and signals
constexpr int kLeastAbi = 2;     // links from folder to folder
constexpr uint64_t kAbi2 = (LANDLOCK_ACCESS_FS_REFER << 1) - 1;

struct Ruleset {
  uint64_t filesystem;
  uint64_t network;
  uint64_t scoped;
};

int LandlockAbi() {
  static const int abi =
      static_cast<int>(syscall(SYS_landlock_create_ruleset, nullptr, 0,
                               LANDLOCK_CREATE_RULESET_VERSION));
  return abi;
}

bool HasLandlock() { return LandlockAbi() >= kLeastAbi; }

Status Allow(const UniqueFd& rules, uint64_t access, const std::string& path) {
  ASSIGN_OR_RETURN(const UniqueFd folder, OpenFile(path, O_PATH | O_DIRECTORY));
  landlock_path_beneath_attr beneath = {};
  beneath.allowed_access = access;
  beneath.parent_fd = folder.get();
  if (syscall(SYS_landlock_add_rule, rules.get(), LANDLOCK_RULE_PATH_BENEATH,
              &beneath, 0) != 0) {
    return Errno(errno, "landlock_add_rule \"" + path + "\"");
  }
  return OkStatus();
}

// Before the thread is bound by it: the folders have to be opened.
StatusOr<UniqueFd> MakeRuleset(const std::vector<std::string>& folders) {
  if (!HasLandlock()) return UniqueFd();
  const int abi = LandlockAbi();
  Ruleset handled = {};
  handled.filesystem = abi >= 3 ? kAbi2 | kTruncate : kAbi2;
  if (abi >= 4) handled.network = kTcp;
  if (abi >= 6) handled.scoped = kScopes;
  UniqueFd rules(static_cast<int>(
      syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0)));
  if (!rules.valid()) return Errno(errno, "landlock_create_ruleset");
  for (const std::string& folder : folders) {
    RETURN_IF_ERROR(Allow(rules, handled.filesystem, folder));
  }
  return rules;
}

// ---- capabilities(7) ----

// Owners, modes, devices and attributes; the last is for trusted.*.
constexpr int kKept[] = {CAP_CHOWN,   CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH,
                         CAP_FOWNER,  CAP_FSETID,       CAP_MKNOD,
                         CAP_SETFCAP, CAP_SYS_RESOURCE, CAP_SYS_ADMIN};

Status DropCapabilities() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2] = {};
  if (syscall(SYS_capget, &header, sets) != 0) return Errno(errno, "capget");
  uint64_t kept = 0;
  for (const int number : kKept) kept |= uint64_t{1} << number;
  for (int i = 0; i < 2; ++i) {
    const auto mask = static_cast<uint32_t>(kept >> (32 * i));
    sets[i].effective &= mask;
    sets[i].permitted &= mask;
    sets[i].inheritable = 0;
  }
  if (syscall(SYS_capset, &header, sets) != 0) return Errno(errno, "capset");
  return OkStatus();
}

// ---- seccomp(2) ----

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
constexpr uint32_t kOtherCalls = 0x40000000;  // of x32
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
constexpr uint32_t kOtherCalls = 0xffffffff;
#else
#error "name the architecture for seccomp"
#endif

constexpr uint32_t kForbidden[] = {
    SYS_socket,
    SYS_socketpair,
    SYS_connect,
    SYS_bind,
    SYS_execve,
    SYS_execveat,
    SYS_clone,
    SYS_clone3,
    SYS_ptrace,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_fsopen,
    SYS_fsmount,
    SYS_move_mount,
    SYS_open_tree,
    SYS_mount_setattr,
    SYS_setns,
    SYS_unshare,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_kexec_load,
    SYS_kill,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_pidfd_send_signal,
    SYS_open_by_handle_at,
    SYS_io_uring_setup,
#if defined(__x86_64__)
    SYS_fork,
    SYS_vfork,
#endif
};

constexpr size_t kHead = 6;
constexpr size_t kCalls = sizeof(kForbidden) / sizeof(kForbidden[0]);

// Without a program to read a kernel that has it says EFAULT.
bool HasSeccomp() {
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                 SECCOMP_FILTER_FLAG_SPEC_ALLOW, nullptr) == 0 ||
         (errno != EINVAL && errno != ENOSYS);
}

// These fail with EPERM, as do calls of another architecture.
Status ForbidCalls() {
  if (!HasSeccomp()) return OkStatus();
  constexpr uint32_t kNo = SECCOMP_RET_ERRNO | EPERM;
  sock_filter program[kHead + 2 * kCalls + 1] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, kNo),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kOtherCalls, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, kNo),
  };
  size_t at = kHead;
  for (const uint32_t call : kForbidden) {
    program[at++] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1);
    program[at++] = BPF_STMT(BPF_RET | BPF_K, kNo);
  }
  program[at++] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  const sock_fprog filter = {static_cast<unsigned short>(at), program};
  // Of this thread alone, and without what slows down speculation.
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
              SECCOMP_FILTER_FLAG_SPEC_ALLOW, &filter) != 0) {
    return Errno(errno, "seccomp");
  }
  return OkStatus();
}

// ---- together ----

Status Confine(const UniqueFd& rules) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return Errno(errno, "set no_new_privs");
  }
  if (rules.valid() &&
      syscall(SYS_landlock_restrict_self, rules.get(), 0) != 0) {
    return Errno(errno, "landlock_restrict_self");
  }
  RETURN_IF_ERROR(DropCapabilities());
  return ForbidCalls();
}

}  // namespace

Status RunConfined(const std::string& name,
                   const std::vector<std::string>& folders,
                   const std::function<Status()>& body) {
  ASSIGN_OR_RETURN(const UniqueFd rules, MakeRuleset(folders));
  Status result = Internal("the thread broke off");
  ASSIGN_OR_RETURN(Thread thread, StartThread(name, [&] {
                     const Status confined = Confine(rules);
                     result = confined.ok() ? body() : confined;
                   }));
  thread.Join();
  return result;
}

std::string ConfinementLacks() {
  std::string lacks;
  if (!HasLandlock()) lacks = "Landlock (5.19 and later, lsm=landlock)";
  if (!HasSeccomp()) {
    lacks += std::string(lacks.empty() ? "" : ", and no ") +
             "filters of system calls (4.17 and later, CONFIG_SECCOMP_FILTER)";
  }
  return lacks.empty() ? ""
                       : "the kernel has no " + lacks +
                             ": layers are unpacked without it";
}

}  // namespace berth
