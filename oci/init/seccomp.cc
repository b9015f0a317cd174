#include "oci/init/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/unique_fd.h"
#include "oci/spec/serialize.h"

namespace berth::oci {
namespace {

// Changes whenever the same profile would give another filter.
constexpr char kCacheMagic[] = "berth-seccomp-1 libseccomp ";
constexpr uint64_t kMaxCacheFile = 4 << 20;
// System calls of x32 have this bit set, under x86-64's own token.
constexpr uint32_t kX32Bit = 0x40000000;

using Context = std::unique_ptr<void, void (*)(scmp_filter_ctx)>;

template <typename T, size_t N>
std::optional<T> Lookup(const std::pair<const char*, T> (&table)[N],
                        const std::string& name) {
  for (const auto& [known, value] : table) {
    if (name == known) return value;
  }
  return std::nullopt;
}

constexpr std::pair<const char*, uint32_t> kArchitectures[] = {
    {"SCMP_ARCH_NATIVE", SCMP_ARCH_NATIVE},
    {"SCMP_ARCH_X86", SCMP_ARCH_X86},
    {"SCMP_ARCH_X86_64", SCMP_ARCH_X86_64},
    {"SCMP_ARCH_X32", SCMP_ARCH_X32},
    {"SCMP_ARCH_ARM", SCMP_ARCH_ARM},
    {"SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64},
    {"SCMP_ARCH_MIPS", SCMP_ARCH_MIPS},
    {"SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64},
    {"SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32},
    {"SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL},
    {"SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64},
    {"SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32},
    {"SCMP_ARCH_PPC", SCMP_ARCH_PPC},
    {"SCMP_ARCH_PPC64", SCMP_ARCH_PPC64},
    {"SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE},
    {"SCMP_ARCH_S390", SCMP_ARCH_S390},
    {"SCMP_ARCH_S390X", SCMP_ARCH_S390X},
    {"SCMP_ARCH_PARISC", SCMP_ARCH_PARISC},
    {"SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64},
    {"SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64},
    // Of libseccomp 2.6 and later.
    {"SCMP_ARCH_LOONGARCH64", AUDIT_ARCH_LOONGARCH64},
    {"SCMP_ARCH_M68K", AUDIT_ARCH_M68K},
    {"SCMP_ARCH_SH", AUDIT_ARCH_SHEL},
    {"SCMP_ARCH_SHEB", AUDIT_ARCH_SH}};

constexpr std::pair<const char*, scmp_compare> kOperators[] = {
    {"SCMP_CMP_NE", SCMP_CMP_NE},
    {"SCMP_CMP_LT", SCMP_CMP_LT},
    {"SCMP_CMP_LE", SCMP_CMP_LE},
    {"SCMP_CMP_EQ", SCMP_CMP_EQ},
    {"SCMP_CMP_GE", SCMP_CMP_GE},
    {"SCMP_CMP_GT", SCMP_CMP_GT},
    {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ}};

constexpr std::pair<const char*, uint32_t> kFlags[] = {
    // One thread: nothing to synchronize.
    {"SECCOMP_FILTER_FLAG_TSYNC", 0},
    {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
    {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
    // Since Linux 5.19, as SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV.
    {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 1u << 5}};

StatusOr<uint32_t> ParseAction(const std::string& name,
                               std::optional<uint32_t> errno_ret,
                               const std::string& where) {
  const uint32_t error = errno_ret.value_or(EPERM) & 0xffff;
  const std::pair<const char*, uint32_t> actions[] = {
      {"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
      {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
      {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
      {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
      {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(error)},
      {"SCMP_ACT_TRACE", SCMP_ACT_TRACE(error)},
      {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
      {"SCMP_ACT_LOG", SCMP_ACT_LOG},
      {"SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY}};
  if (const auto action = Lookup(actions, name)) return *action;
  return InvalidArgument(where + ": unknown action " + Quoted(name));
}

Status AddArchitectures(const Seccomp& profile, scmp_filter_ctx context) {
  for (const std::string& name : profile.architectures) {
    const auto token = Lookup(kArchitectures, name);
    if (!token) {
      return InvalidArgument("linux.seccomp.architectures: unknown " +
                             Quoted(name));
    }
    const int result = seccomp_arch_add(context, *token);
    // What the library does not know, or what has the other byte order: there
    // is no such machine under this kernel, so no call of it to be filtered.
    if (result == -EINVAL || result == -EDOM) continue;
    if (result != 0 && result != -EEXIST) {
      return Errno(-result, "add seccomp architecture " + name);
    }
  }
  return OkStatus();
}

StatusOr<std::vector<scmp_arg_cmp>> ParseArgs(const SeccompRule& rule) {
  std::vector<scmp_arg_cmp> comparisons;
  for (const SeccompArg& arg : rule.args) {
    const auto op = Lookup(kOperators, arg.op);
    if (!op || arg.index > 5) {
      return InvalidArgument("linux.seccomp.syscalls: argument " +
                             std::to_string(arg.index) + ", operator " +
                             Quoted(arg.op));
    }
    comparisons.push_back({arg.index, *op, arg.value, arg.value_two});
  }
  return comparisons;
}

// libseccomp takes one condition an argument in a rule; several on the same
// one become a rule each, as in runc.
bool RepeatsAnArgument(const std::vector<scmp_arg_cmp>& comparisons) {
  uint32_t seen = 0;
  for (const scmp_arg_cmp& c : comparisons) {
    if (seen & (1u << c.arg)) return true;
    seen |= 1u << c.arg;
  }
  return false;
}

Status AddOne(scmp_filter_ctx context, uint32_t action, int number,
              const scmp_arg_cmp* comparisons, size_t count,
              const std::string& name) {
  const int result = seccomp_rule_add_array(
      context, action, number, static_cast<unsigned>(count), comparisons);
  if (result == 0 || result == -EEXIST) return OkStatus();
  return Errno(-result, "add seccomp rule for " + name);
}

// Rules that the library has, each once: it goes through all rules of a call
// for each one more.
struct AddedRules {
  std::set<std::pair<int, uint32_t>> whole;  // whatever the arguments
  std::set<std::string> conditional;
};

std::string KeyOf(int number, uint32_t action, const scmp_arg_cmp* comparisons,
                  size_t count) {
  std::string key = std::to_string(number) + " " + std::to_string(action);
  for (size_t i = 0; i < count; ++i) {
    for (const uint64_t part :
         {uint64_t{comparisons[i].arg}, uint64_t{comparisons[i].op},
          comparisons[i].datum_a, comparisons[i].datum_b}) {
      key += " " + std::to_string(part);
    }
  }
  return key;
}

Status AddConditional(scmp_filter_ctx context, uint32_t action, int number,
                      const scmp_arg_cmp* comparisons, size_t count,
                      const std::string& name, AddedRules& added) {
  if (!added.conditional.insert(KeyOf(number, action, comparisons, count))
           .second) {
    return OkStatus();
  }
  // Each is one instruction at least: the kernel would take no such filter.
  if (added.conditional.size() > BPF_MAXINSNS) {
    return ResourceExhausted("linux.seccomp.syscalls: more than " +
                             std::to_string(BPF_MAXINSNS) +
                             " rules with arguments");
  }
  return AddOne(context, action, number, comparisons, count, name);
}

Status AddRule(const SeccompRule& rule, uint32_t default_action,
               scmp_filter_ctx context, AddedRules& added) {
  ASSIGN_OR_RETURN(const uint32_t action,
                   ParseAction(rule.action, rule.errno_ret,
                               "linux.seccomp.syscalls.action"));
  ASSIGN_OR_RETURN(const std::vector<scmp_arg_cmp> comparisons,
                   ParseArgs(rule));
  if (action == default_action) return OkStatus();  // libseccomp refuses it
  // One condition at a time, or all together.
  const size_t together =
      RepeatsAnArgument(comparisons) ? 1 : comparisons.size();
  for (const std::string& name : rule.names) {
    const int number = seccomp_syscall_resolve_name(name.c_str());
    if (number == __NR_SCMP_ERROR) continue;
    if (comparisons.empty()) {
      if (!added.whole.emplace(number, action).second) continue;
      RETURN_IF_ERROR(AddOne(context, action, number, nullptr, 0, name));
    }
    for (size_t i = 0; i < comparisons.size(); i += together) {
      RETURN_IF_ERROR(AddConditional(context, action, number, &comparisons[i],
                                     together, name, added));
    }
  }
  return OkStatus();
}

StatusOr<std::string> Export(scmp_filter_ctx context) {
  const UniqueFd file(memfd_create("seccomp", MFD_CLOEXEC));
  if (!file.valid()) return Errno(errno, "memfd_create");
  const int result = seccomp_export_bpf(context, file.get());
  if (result != 0) return Errno(-result, "export seccomp filter");
  if (lseek(file.get(), 0, SEEK_SET) != 0) return Errno(errno, "lseek");
  return ReadAll(file.get(), kMaxCacheFile, "seccomp filter");
}

void Append(std::vector<sock_filter>& program, uint16_t code, uint32_t k,
            uint8_t yes = 0, uint8_t no = 0) {
  program.push_back({code, yes, no, k});
}

// What newer kernels added after the profile was written: glibc tries such
// calls first and falls back on ENOSYS only. Goes before the filter proper;
// relative jumps there stay right.
std::string NewerCallsPrefix(const Seccomp& profile) {
  std::vector<uint32_t> tokens = {seccomp_arch_native()};
  for (const std::string& name : profile.architectures) {
    const auto token = Lookup(kArchitectures, name);
    if (token && *token != SCMP_ARCH_NATIVE && *token != SCMP_ARCH_X32 &&
        std::find(tokens.begin(), tokens.end(), *token) == tokens.end()) {
      tokens.push_back(*token);
    }
  }
  std::vector<sock_filter> program;
  Append(program, BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch));
  for (const uint32_t token : tokens) {
    int newest = -1;
    for (const SeccompRule& rule : profile.syscalls) {
      for (const std::string& name : rule.names) {
        newest = std::max(
            newest, seccomp_syscall_resolve_name_arch(token, name.c_str()));
      }
    }
    if (newest < 0) continue;
    // Another architecture: over the four that follow, still with it loaded.
    Append(program, BPF_JMP | BPF_JEQ | BPF_K, token, 0, 5);
    Append(program, BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
    Append(program, BPF_JMP | BPF_JGE | BPF_K, kX32Bit, 2, 0);
    Append(program, BPF_JMP | BPF_JGT | BPF_K, static_cast<uint32_t>(newest), 0,
           1);
    Append(program, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
    Append(program, BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch));
  }
  return std::string(reinterpret_cast<const char*>(program.data()),
                     program.size() * sizeof(sock_filter));
}

StatusOr<uint32_t> ParseFlags(const Seccomp& profile) {
  // runc's default: no speculation barrier that the profile did not ask for.
  uint32_t flags =
      Notifies(profile) ? uint32_t{SECCOMP_FILTER_FLAG_NEW_LISTENER} : 0;
  if (!profile.flags) return flags | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  for (const std::string& name : *profile.flags) {
    const auto flag = Lookup(kFlags, name);
    if (!flag) {
      return Unimplemented("linux.seccomp.flags: " + Quoted(name));
    }
    flags |= *flag;
  }
  return flags;
}

std::string CacheKey(const Seccomp& profile) {
  const scmp_version* version = seccomp_version();
  return kCacheMagic + std::to_string(version->major) + "." +
         std::to_string(version->minor) + "." + std::to_string(version->micro) +
         "\n" + SerializeSeccomp(profile);
}

// FNV-1a: only to spread names. The whole key is in the file and compared, so
// that no profile can pass for another.
std::string CacheName(const std::string& key) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : key) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return HexEncode(
      std::string_view(reinterpret_cast<const char*>(&hash), sizeof(hash)));
}

// Key length, key, flags, program.
std::optional<SeccompFilter> FromCache(const std::string& path,
                                       const std::string& key) {
  const auto text = ReadFile(path, kMaxCacheFile);
  uint64_t length = 0;
  SeccompFilter filter;
  const size_t head = sizeof(length);
  if (!text.ok() || text->size() < head) return std::nullopt;
  memcpy(&length, text->data(), head);
  if (length != key.size() ||
      text->size() < head + length + sizeof(filter.flags) ||
      text->compare(head, length, key) != 0) {
    return std::nullopt;
  }
  memcpy(&filter.flags, text->data() + head + length, sizeof(filter.flags));
  filter.program = text->substr(head + length + sizeof(filter.flags));
  if (filter.program.empty() ||
      filter.program.size() % sizeof(sock_filter) != 0) {
    return std::nullopt;
  }
  return filter;
}

// Failing costs the next start some time, and nothing else.
void ToCache(const std::string& directory, const std::string& path,
             const std::string& key, const SeccompFilter& filter) {
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return;
  const std::string temporary = path + "." + std::to_string(getpid());
  auto file =
      OpenFile(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (!file.ok()) return;
  const uint64_t length = key.size();
  std::string text(reinterpret_cast<const char*>(&length), sizeof(length));
  text += key;
  text.append(reinterpret_cast<const char*>(&filter.flags),
              sizeof(filter.flags));
  text += filter.program;
  if (!WriteAll(file->get(), text).ok() ||
      rename(temporary.c_str(), path.c_str()) != 0) {
    unlink(temporary.c_str());
  }
}

// Whatever it permits goes on to the instruction behind it; the rest of its
// answers stand. Programs have constant answers only (seccomp_export_bpf).
void GoOnWhenPermitted(std::string& program) {
  const size_t count = program.size() / sizeof(sock_filter);
  for (size_t at = 0; at < count; ++at) {
    sock_filter one;
    memcpy(&one, &program[at * sizeof(one)], sizeof(one));
    const bool permits =
        one.code == (BPF_RET | BPF_K) &&
        (one.k == SECCOMP_RET_ALLOW || one.k == SECCOMP_RET_LOG);
    if (!permits) continue;
    one = {BPF_JMP | BPF_JA, 0, 0, static_cast<uint32_t>(count - at - 1)};
    memcpy(&program[at * sizeof(one)], &one, sizeof(one));
  }
}

// Both have to want to go without it.
constexpr uint32_t kNoBarrier = SECCOMP_FILTER_FLAG_SPEC_ALLOW;

void Prepend(SeccompFilter first, SeccompFilter& filter) {
  GoOnWhenPermitted(first.program);
  filter.program.insert(0, first.program);
  filter.flags = ((filter.flags | first.flags) & ~kNoBarrier) |
                 (filter.flags & first.flags & kNoBarrier);
}

}  // namespace

bool SeccompFilter::has_listener() const {
  return flags & SECCOMP_FILTER_FLAG_NEW_LISTENER;
}

StatusOr<SeccompFilter> CompileSeccomp(const Seccomp& profile) {
  ASSIGN_OR_RETURN(
      const uint32_t default_action,
      ParseAction(profile.default_action, profile.default_errno_ret,
                  "linux.seccomp.defaultAction"));
  SeccompFilter filter;
  ASSIGN_OR_RETURN(filter.flags, ParseFlags(profile));
  const Context context(seccomp_init(default_action), seccomp_release);
  if (context == nullptr) return Internal("seccomp_init");
  RETURN_IF_ERROR(AddArchitectures(profile, context.get()));
  // 2: a binary tree over the numbers, in place of a chain.
  seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  AddedRules added;
  for (const SeccompRule& rule : profile.syscalls) {
    RETURN_IF_ERROR(AddRule(rule, default_action, context.get(), added));
  }
  const bool refuses = profile.default_action != "SCMP_ACT_ALLOW" &&
                       profile.default_action != "SCMP_ACT_LOG";
  if (refuses) filter.program = NewerCallsPrefix(profile);
  ASSIGN_OR_RETURN(const std::string compiled, Export(context.get()));
  filter.program += compiled;
  for (const Seccomp& other : profile.also) {
    ASSIGN_OR_RETURN(SeccompFilter first, CompileSeccomp(other));
    Prepend(std::move(first), filter);
  }
  return filter;
}

StatusOr<SeccompFilter> CachedSeccomp(const Seccomp& profile,
                                      const std::string& cache) {
  const std::string key = CacheKey(profile);
  const std::string path = cache + "/" + CacheName(key);
  if (auto cached = FromCache(path, key)) return *std::move(cached);
  ASSIGN_OR_RETURN(SeccompFilter filter, CompileSeccomp(profile));
  ToCache(cache, path, key, filter);
  return filter;
}

StatusOr<int> LoadSeccomp(const SeccompFilter& filter) {
  const size_t count = filter.program.size() / sizeof(sock_filter);
  if (count == 0 || count > BPF_MAXINSNS) {
    return ResourceExhausted("seccomp filter of " + std::to_string(count) +
                             " instructions");
  }
  // The kernel only reads it.
  struct sock_fprog program = {
      static_cast<unsigned short>(count),
      reinterpret_cast<sock_filter*>(const_cast<char*>(filter.program.data()))};
  const long result =
      syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, filter.flags, &program);
  if (result < 0) return Errno(errno, "load seccomp filter");
  return filter.has_listener() ? static_cast<int>(result) : -1;
}

}  // namespace berth::oci
