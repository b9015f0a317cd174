#include "sandbox/apparmor/default_profile.h"

#include <unistd.h>

#include "base/digest.h"
#include "base/io/subprocess.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "sandbox/record/files.h"

namespace berth::sandbox {
namespace {

// apparmor.d(5). No file of the host is included: the rules are the same
// everywhere. "deny" wins over the lines that allow.
constexpr char kRules[] = R"(
  # Whatever ids, capabilities, cgroups and seccomp allow.
  file,
  network,
  capability,
  umount,

  # The runtime and the host stop and kill it; its processes each other.
  # AppArmor 4 has profiles of its own for the runtimes.
  signal (receive) peer=unconfined,
  signal (receive) peer=runc,
  signal (receive) peer=crun,
  signal (send, receive) peer=@{profile_name},
  ptrace (trace, read, tracedby, readby) peer=@{profile_name},

  # New mounts would show what is masked.
  deny mount,

  # Of /proc only what is a process's own may be written, and sysctls of shared
  # memory: neither files in it nor folders that are neither a number nor sys.
  deny /proc/* w,
  deny /proc/[^0-9s]*/** w,
  deny /proc/s[^y]*/** w,
  deny /proc/sy[^s]*/** w,
  deny /proc/sys?*/** w,
  deny /proc/sys/[^k]** w,
  deny /proc/sys/k[^e]** w,
  deny /proc/sys/kernel/[^s]** w,
  deny /proc/sys/kernel/s[^h]** w,
  deny /proc/sys/kernel/sh[^m]** w,
  deny /proc/sysrq-trigger rwklx,
  deny /proc/kcore rwklx,
  deny /proc/kmem rwklx,
  deny /proc/mem rwklx,

  # Of /sys only cgroups.
  deny /sys/[^f]*/** wklx,
  deny /sys/f[^s]*/** wklx,
  deny /sys/fs/[^c]*/** wklx,
  deny /sys/fs/c[^g]*/** wklx,
  deny /sys/fs/cg[^r]*/** wklx,
  deny /sys/firmware/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
  deny /sys/kernel/security/** rwklx,
)";

constexpr char kAbiFile[] = "/etc/apparmor.d/abi/3.0";
constexpr uint64_t kMostProfiles = 16 << 20;

// The label without its mode: "berthd (enforce)" is "berthd".
std::string OwnLabel(const HostPaths& paths) {
  StatusOr<std::string> text =
      ReadSmallFile(paths.proc + "/self/attr/apparmor/current", 4096);
  if (!text.ok()) text = ReadSmallFile(paths.proc + "/self/attr/current", 4096);
  if (!text.ok()) return "unconfined";
  const std::string label = Split(std::string(Trim(*text)), ' ').front();
  // What is no plain name (a stack, a variable) is not worth a rule.
  const bool plain = label.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
                         "WXYZ0123456789_./-") == std::string::npos;
  return plain && !label.empty() ? label : "unconfined";
}

std::string FindParser() {
  for (const char* path : {"/usr/sbin/apparmor_parser", "/sbin/apparmor_parser",
                           "/usr/bin/apparmor_parser"}) {
    if (access(path, X_OK) == 0) return path;
  }
  return "";
}

}  // namespace

bool HasAppArmor(const HostPaths& paths) {
  const StatusOr<std::string> enabled =
      ReadSmallFile(paths.sys + "/module/apparmor/parameters/enabled", 64);
  return enabled.ok() && StartsWith(*enabled, "Y");
}

std::string DefaultProfileText(const std::string& own_label, bool abi) {
  std::string text = abi ? "abi <abi/3.0>,\n" : "";
  text += std::string("profile ") + kDefaultProfile +
          " flags=(attach_disconnected, mediate_deleted) {" + kRules;
  if (own_label != "unconfined") {
    text += "  signal (receive) peer=" + own_label + ",\n";
  }
  return text + "}\n";
}

StatusOr<bool> IsProfileLoaded(const HostPaths& paths,
                               const std::string& profile) {
  ASSIGN_OR_RETURN_AS(
      const std::string loaded,
      ReadSmallFile(paths.sys + "/kernel/security/apparmor/profiles",
                    kMostProfiles),
      "apparmor profiles");
  // "NAME (MODE)" a line.
  return StartsWith(loaded, profile + " (") ||
         loaded.find("\n" + profile + " (") != std::string::npos;
}

Status LoadDefaultProfile(const Context& ctx, const HostPaths& paths) {
  if (!HasAppArmor(paths)) return Unimplemented("the kernel has no AppArmor");
  const std::string text =
      DefaultProfileText(OwnLabel(paths), access(kAbiFile, R_OK) == 0);
  const std::string mark = paths.state + "/apparmor-default";
  const std::string digest = Digest::Of(text).hex();
  ASSIGN_OR_RETURN(const bool loaded, IsProfileLoaded(paths, kDefaultProfile));
  const StatusOr<std::string> last = ReadSmallFile(mark, 256);
  if (loaded && last.ok() && *last == digest) return OkStatus();
  Command parser;
  parser.program = FindParser();
  if (parser.program.empty()) {
    if (loaded) return OkStatus();
    return Unimplemented(
        "AppArmor is on, but apparmor_parser is not installed");
  }
  // Replace, and neither read nor write the cache: the text comes from here.
  parser.args = {"--skip-cache", "--replace"};
  parser.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  parser.input = text;
  ASSIGN_OR_RETURN_AS(const CommandResult result, RunCommand(ctx, parser),
                      "run " + parser.program);
  if (!result.ok()) {
    return FailedPrecondition(parser.program + " " + result.Describe() + ": " +
                              std::string(Trim(result.errors)));
  }
  return WriteSmallFile(mark, digest, 0600);
}

Status KeepDefaultProfile(const Context& ctx, const HostPaths& paths) {
  static Mutex loading;
  StatusOr<bool> loaded = IsProfileLoaded(paths, kDefaultProfile);
  if (loaded.ok() && *loaded) return OkStatus();
  MutexLock lock(loading);
  loaded = IsProfileLoaded(paths, kDefaultProfile);
  if (loaded.ok() && *loaded) return OkStatus();
  return Annotate(LoadDefaultProfile(ctx, paths),
                  "apparmor profile " + Quoted(kDefaultProfile));
}

}  // namespace berth::sandbox
