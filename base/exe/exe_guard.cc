#include "base/exe/exe_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <linux/mount.h>
#include <sys/auxv.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/unique_fd.h"

// What runs before the C library does: on the bare stack that the kernel made,
// so without errno, thread-local storage or a function of anybody else.
#if defined(__clang__)
#define BERTH_BARE __attribute__((no_sanitize("all"), no_stack_protector))
#else
#define BERTH_BARE                                                 \
  __attribute__((no_sanitize("address"), no_sanitize("undefined"), \
                 no_sanitize("thread"), optimize("no-stack-protector")))
#endif

namespace berth {
namespace {

constexpr char kSelf[] = "/proc/self/exe";
// How execveat(2) calls a file that it was given open.
constexpr char kByDescriptor[] = "/dev/fd/";
constexpr char kInMemory[] = "/memfd:berth";
constexpr unsigned kMfdExec = 0x10;  // MFD_EXEC, Linux 6.3
constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

struct Stack {
  char** argv;
  char** envp;
  const char* file;  // AT_EXECFN
};

#if defined(__x86_64__)
BERTH_BARE long Call(long number, long a = 0, long b = 0, long c = 0,
                     long d = 0, long e = 0) {
  register long fourth asm("r10") = d;
  register long fifth asm("r8") = e;
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth)
               : "rcx", "r11", "memory");
  return result;
}
#else
// Called later, from .preinit_array, when there is an errno.
long Call(long number, long a = 0, long b = 0, long c = 0, long d = 0,
          long e = 0) {
  return syscall(number, a, b, c, d, e);
}
#endif

BERTH_BARE long Pointer(const void* p) { return reinterpret_cast<long>(p); }

BERTH_BARE bool Same(const char* a, const char* b) {
  for (; *a == *b; ++a, ++b) {
    if (*a == 0) return true;
  }
  return false;
}

BERTH_BARE bool Begins(const char* text, const char* with) {
  for (; *with != 0; ++text, ++with) {
    if (*text != *with) return false;
  }
  return true;
}

BERTH_BARE bool IsWanted(const Stack& stack) {
  for (char** arg = stack.argv; *arg != nullptr; ++arg) {
    for (const char* const* word = kGuardedWords; *word != nullptr; ++word) {
      if (Same(*arg, *word)) return true;
    }
  }
  return false;
}

BERTH_BARE void RunFrom(long fd, const Stack& stack) {
  if (fd < 0) return;
  Call(SYS_execveat, fd, Pointer(""), Pointer(stack.argv), Pointer(stack.envp),
       AT_EMPTY_PATH);
  Call(SYS_close, fd);
}

BERTH_BARE void RunFromMount(const Stack& stack) {
  const long fd = Call(SYS_open_tree, AT_FDCWD, Pointer(kSelf),
                       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (fd < 0) return;
  struct mount_attr attributes;
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  attributes.attr_clr = attributes.propagation = attributes.userns_fd = 0;
  if (Call(SYS_mount_setattr, fd, Pointer(""), AT_EMPTY_PATH,
           Pointer(&attributes), sizeof(attributes)) == 0) {
    RunFrom(fd, stack);
  } else {
    Call(SYS_close, fd);
  }
}

BERTH_BARE void RunFromMemory(const Stack& stack) {
  const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  long copy = Call(SYS_memfd_create, Pointer(kInMemory + 7), flags | kMfdExec);
  if (copy < 0) {
    copy = Call(SYS_memfd_create, Pointer(kInMemory + 7), flags);
  }
  const long own =
      Call(SYS_openat, AT_FDCWD, Pointer(kSelf), O_RDONLY | O_CLOEXEC);
  long n = copy < 0 || own < 0 ? -1 : 1;
  while (n > 0) n = Call(SYS_sendfile, copy, own, 0, 1 << 30);
  if (own >= 0) Call(SYS_close, own);
  if (n == 0 && Call(SYS_fcntl, copy, F_ADD_SEALS, kSeals) == 0) {
    RunFrom(copy, stack);
  }
}

// Returns if there is nothing to do, or nothing that can be done: who needs
// the guard asks CheckExeGuard.
BERTH_BARE void Guard(const Stack& stack) {
  if (!IsWanted(stack)) return;
  char path[sizeof(kInMemory)];
  const long n = Call(SYS_readlinkat, AT_FDCWD, Pointer(kSelf), Pointer(path),
                      sizeof(path) - 1);
  if (n <= 0) return;
  path[n] = 0;
  // The root of a mount of its own, or memory: this is the second time.
  if (Same(path, "/") || Begins(path, kInMemory)) return;
  // By descriptor the first of these would come here again for ever.
  if (!Begins(stack.file, kByDescriptor)) RunFromMount(stack);
  RunFromMemory(stack);
}

}  // namespace

#if defined(__x86_64__)

// The program's entry point (linkopts): looks at the stack as the kernel left
// it (ABI, "Process Initialization"), then goes on to the C library's.
extern "C" BERTH_BARE __attribute__((used)) void BerthGuardExe(long* stack) {
  char** const argv = reinterpret_cast<char**>(stack + 1);
  char** const envp = argv + *stack + 1;
  char** end = envp;
  while (*end != nullptr) ++end;
  const char* file = "";
  for (const long* aux = reinterpret_cast<long*>(end + 1); aux[0] != 0;
       aux += 2) {
    if (aux[0] == AT_EXECFN) file = reinterpret_cast<const char*>(aux[1]);
  }
  Guard({argv, envp, file});
}

asm(R"(
  .text
  .globl berth_start
  .type berth_start, @function
berth_start:
  mov %rsp, %rdi
  mov %rdx, %r12
  mov %rsp, %r13
  and $-16, %rsp
  call BerthGuardExe
  mov %r13, %rsp
  mov %r12, %rdx
  xor %ebp, %ebp
  jmp _start
  .size berth_start, .-berth_start
)");

#else

namespace {

void GuardEarly(int, char** argv, char** envp) {
  Guard({argv, envp, reinterpret_cast<const char*>(getauxval(AT_EXECFN))});
}
__attribute__((section(".preinit_array"),
               used)) void (*const kGuardEarly)(int, char**,
                                                char**) = GuardEarly;

}  // namespace

#endif

Status CheckExeGuard(const char* name) {
  prctl(PR_SET_NAME, name);
  const UniqueFd self(open(kSelf, O_RDONLY | O_CLOEXEC));
  if (!self.valid()) return Errno(errno, "open /proc/self/exe");
  const int seals = fcntl(self.get(), F_GET_SEALS);
  if (seals >= 0 && (seals & F_SEAL_WRITE) != 0) return OkStatus();
  char path[2];
  const bool detached =
      readlink(kSelf, path, sizeof(path)) == 1 && path[0] == '/';
  struct statfs fs;
  if (detached && fstatfs(self.get(), &fs) == 0 &&
      (fs.f_flags & ST_RDONLY) != 0) {
    return OkStatus();
  }
  return FailedPrecondition(std::string(name) +
                            ": no read-only copy of this program could be made "
                            "(CVE-2019-5736)");
}

}  // namespace berth
