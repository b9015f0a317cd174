#include "sandbox/resource/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "base/failpoint.h"
#include "base/strings.h"
#include "base/sys/id_mapped.h"
#include "base/sys/mount.h"
#include "base/sys/namespace.h"
#include "base/thread.h"
#include "sandbox/record/files.h"
#include "sandbox/spec/id_maps.h"

namespace berth::sandbox {
namespace {

using ::berth::state::v1::NamespacesState;
using ::berth::state::v1::SandboxRecord;

// One namespace that the sandbox has for itself.
struct Pin {
  int type;
  const char* proc_name;
  std::string path;
};

bool OwnNetwork(const SandboxRecord& sandbox) {
  const auto mode = sandbox.config().namespaces().network();
  return mode == state::v1::NAMESPACE_MODE_POD ||
         mode == state::v1::NAMESPACE_MODE_NONE;
}

bool OwnIpc(const SandboxRecord& sandbox) {
  return sandbox.config().namespaces().ipc() == state::v1::NAMESPACE_MODE_POD;
}

// A pod in the host's network shares the host's name too.
bool OwnUts(const SandboxRecord& sandbox) {
  const auto& options = sandbox.config().namespaces();
  const bool may =
      options.network() != state::v1::NAMESPACE_MODE_NODE ||
      sandbox.config().kind() == state::v1::SANDBOX_KIND_STANDALONE;
  return may && options.uts() == state::v1::NAMESPACE_MODE_POD;
}

// What is asked of the namespaces once they are there.
struct Settings {
  std::string hostname;    // empty: not ours to set
  std::string domainname;  // the same
  std::vector<std::pair<std::string, std::string>> sysctls;  // file -> value
  // The root of the user namespace that they belong to, on the host.
  std::optional<uint32_t> root_uid, root_gid;
};

// What holds of each interface until somebody says otherwise: without addresses
// of IPv6 it has no IPv6 (CVE-2024-32473), and a neighbour that calls itself a
// router is not believed (CVE-2020-13401). For networks of ours; those of pods
// are their plugins' matter.
constexpr std::pair<const char*, const char*> kInterfaceDefaults[] = {
    {"/sys/net/ipv6/conf/default/disable_ipv6", "1"},
    {"/sys/net/ipv6/conf/default/accept_ra", "0"}};

void AddInterfaceDefaults(const std::string& proc, Settings& settings) {
  for (const auto& [file, value] : kInterfaceDefaults) {
    const std::string path = proc + file;
    // Kernels without IPv6 have none.
    if (access(path.c_str(), F_OK) == 0) {
      settings.sysctls.emplace_back(path, value);
    }
  }
}

// Those of the network ask for a capability, those of ipc for the root of
// their user namespace, and no capability helps.
Status SetSysctls(const Settings& settings) {
  std::vector<std::pair<std::string, std::string>> refused;
  for (const auto& [file, value] : settings.sysctls) {
    const Status set = SetSysctl(file, value);
    if (ErrnoOf(set) != EACCES || !settings.root_uid || !settings.root_gid) {
      RETURN_IF_ERROR(set);
    } else {
      refused.emplace_back(file, value);
    }
  }
  if (refused.empty()) return OkStatus();
  // Of this thread only, which has nothing else to do.
  if (syscall(SYS_setresgid, -1, *settings.root_gid, -1) != 0 ||
      syscall(SYS_setresuid, -1, *settings.root_uid, -1) != 0) {
    return Errno(errno, "become root of the user namespace");
  }
  for (const auto& [file, value] : refused) {
    RETURN_IF_ERROR(SetSysctl(file, value));
  }
  return OkStatus();
}

// Runs with the namespaces as the calling thread's own.
Status Configure(const Settings& settings) {
  if (!settings.hostname.empty() &&
      sethostname(settings.hostname.data(), settings.hostname.size()) != 0) {
    return Errno(errno, "set host name " + Quoted(settings.hostname));
  }
  if (!settings.domainname.empty() &&
      setdomainname(settings.domainname.data(), settings.domainname.size()) !=
          0) {
    return Errno(errno, "set domain name " + Quoted(settings.domainname));
  }
  return SetSysctls(settings);
}

// A thread that has changed its namespaces is not used again.
Status OnItsOwnThread(const std::function<Status()>& work) {
  Status result = Internal("the thread ended early");
  ASSIGN_OR_RETURN(Thread inside,
                   StartThread("namespaces", [&] { result = work(); }));
  inside.Join();
  return result;
}

// Without a user namespace a thread can have namespaces of its own: makes,
// configures and pins them, and ends.
Status MakeInThread(const std::vector<Pin>& pins, const Settings& settings) {
  return OnItsOwnThread([&]() -> Status {
    int types = 0;
    for (const Pin& pin : pins) types |= pin.type;
    RETURN_IF_ERROR(UnshareNamespaces(types));
    RETURN_IF_ERROR(Configure(settings));
    for (const Pin& pin : pins) {
      RETURN_IF_ERROR(PinNamespace(
          std::string("/proc/thread-self/ns/") + pin.proc_name, pin.path));
    }
    return OkStatus();
  });
}

// The holder of new namespaces: has no descriptor of ours, and ends with the
// thread that made it. Only system calls: that thread's process has others,
// whose locks were copied.
[[noreturn]] void Hold(pid_t parent) {
  syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  // Who died before that call sends no signal.
  if (syscall(SYS_getppid) != parent) syscall(SYS_exit_group, 1);
  syscall(SYS_close_range, 0, ~0u, 0);
  while (true) syscall(SYS_ppoll, nullptr, 0, nullptr, nullptr, 0);
}

StatusOr<pid_t> CloneHolder(int types) {
  const pid_t parent = getpid();
  const long pid =
      syscall(SYS_clone, types | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid < 0) return Errno(errno, "clone into new namespaces");
  if (pid == 0) Hold(parent);
  return static_cast<pid_t>(pid);
}

// With a user namespace: the child's clone makes it first, and the others
// inside it (clone(2)).
Status MakeInChild(const std::vector<Pin>& pins, const Settings& settings,
                   const SandboxRecord& sandbox) {
  int types = 0;
  for (const Pin& pin : pins) types |= pin.type;
  ASSIGN_OR_RETURN(const pid_t child, CloneHolder(types));
  const absl::Cleanup end = [child] {
    kill(child, SIGKILL);
    while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
  };
  RETURN_IF_ERROR(Failpoint("sandbox.start.holder"));
  const std::string proc = "/proc/" + std::to_string(child);
  const IdMaps maps = IdMapsOf(sandbox.config());
  RETURN_IF_ERROR(WriteSmallFile(proc + "/uid_map", IdMapText(maps.uids), 0));
  RETURN_IF_ERROR(WriteSmallFile(proc + "/gid_map", IdMapText(maps.gids), 0));
  return OnItsOwnThread([&]() -> Status {
    for (const Pin& pin : pins) {
      const std::string source = proc + "/ns/" + pin.proc_name;
      RETURN_IF_ERROR(PinNamespace(source, pin.path));
      // A thread cannot enter a user namespace, and need not.
      if (pin.type == CLONE_NEWUSER) continue;
      ASSIGN_OR_RETURN(const UniqueFd fd, OpenNamespace(source, pin.type));
      RETURN_IF_ERROR(EnterNamespace(fd.get(), pin.type));
    }
    return Configure(settings);
  });
}

Status Unpin(const std::string& path) {
  if (path.empty()) return OkStatus();
  RETURN_IF_ERROR(IgnoreNotFound(DetachMounts(path)));
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return Errno(errno, "unlink " + Quoted(path));
  }
  return OkStatus();
}

bool Contains(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

}  // namespace

Status SetSysctl(const std::string& file, const std::string& value) {
  const UniqueFd fd(open(file.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid() && errno == ENOENT) {
    // The request's mistake, not an object that is not found.
    return InvalidArgument("sysctl " + Quoted(file) + ": there is none");
  }
  if (!fd.valid()) return Errno(errno, "open sysctl " + Quoted(file));
  // One write, of one value: of some files the kernel takes a part of it, and
  // what is behind that part is nothing (CVE-2022-0811).
  const std::string doing =
      "write " + Quoted(value) + " to sysctl " + Quoted(file);
  const ssize_t n = write(fd.get(), value.data(), value.size());
  if (n < 0) return Errno(errno, doing);
  if (static_cast<size_t>(n) < value.size()) {
    return InvalidArgument(doing + ": the kernel takes a part of it only");
  }
  return OkStatus();
}

bool NamesInterface(const std::string& file) {
  const std::vector<std::string> parts = Split(file, '/');
  return parts.size() > 4 && parts[0] == "net" &&
         (parts[2] == "conf" || parts[2] == "neigh") && parts[3] != "all" &&
         parts[3] != "default" && parts[3] != "lo";
}

Status Namespaces::Acquire(const Context&, SandboxRecord& sandbox) {
  RETURN_IF_ERROR(Borrow(sandbox));
  const std::string base = paths_.SandboxState(sandbox.id());
  NamespacesState& state = *sandbox.mutable_namespaces();
  std::vector<Pin> pins;
  const auto add = [&](int type, const char* file, std::string* field) {
    *field = base + "/" + file;
    pins.push_back(Pin{type, NamespaceProcName(type), *field});
  };
  const bool user = sandbox.config().namespaces().uid_mappings_size() > 0;
  if (user) add(CLONE_NEWUSER, "userns", state.mutable_user());
  if (OwnNetwork(sandbox)) add(CLONE_NEWNET, "netns", state.mutable_network());
  if (OwnIpc(sandbox)) add(CLONE_NEWIPC, "ipcns", state.mutable_ipc());
  if (OwnUts(sandbox)) add(CLONE_NEWUTS, "utsns", state.mutable_uts());

  Settings settings;
  if (OwnUts(sandbox)) {
    settings.hostname = sandbox.hostname();
    settings.domainname = sandbox.config().domainname();
  }
  const bool attached =
      sandbox.config().namespaces().network() == state::v1::NAMESPACE_MODE_POD;
  if (attached &&
      sandbox.config().kind() == state::v1::SANDBOX_KIND_STANDALONE) {
    AddInterfaceDefaults(paths_.proc, settings);
  }
  for (const auto& [name, value] : Sysctls(sandbox)) {
    ASSIGN_OR_RETURN(std::string file,
                     SysctlFile(name, OwnNetwork(sandbox), OwnIpc(sandbox),
                                OwnUts(sandbox)));
    if (attached && NamesInterface(file)) continue;
    settings.sysctls.emplace_back(paths_.proc + "/sys/" + file, value);
  }
  if (user) {
    const IdMaps maps = IdMapsOf(sandbox.config());
    settings.root_uid = OutsideId(maps.uids, 0);
    settings.root_gid = OutsideId(maps.gids, 0);
  }
  if (!pins.empty()) {
    RETURN_IF_ERROR(user ? MakeInChild(pins, settings, sandbox)
                         : MakeInThread(pins, settings));
  }
  return Failpoint("sandbox.start.namespaces");
}

Status Namespaces::Recover(const Context&, SandboxRecord& sandbox) {
  const NamespacesState& state = sandbox.namespaces();
  const std::pair<const std::string&, int> all[] = {
      {state.network(), CLONE_NEWNET},
      {state.ipc(), CLONE_NEWIPC},
      {state.uts(), CLONE_NEWUTS},
      {state.user(), CLONE_NEWUSER}};
  for (const auto& [path, type] : all) {
    if (path.empty()) continue;
    RETURN_IF_ERROR(OpenNamespace(path, type).status());
  }
  return OkStatus();
}

Status Namespaces::Release(const Context&, const SandboxRecord& sandbox) {
  const std::string base = paths_.SandboxState(sandbox.id());
  for (const char* file : {"/utsns", "/ipcns", "/netns", "/userns"}) {
    RETURN_IF_ERROR(Unpin(base + file));
  }
  return Failpoint("sandbox.stop.namespaces");
}

std::map<std::string, std::string> Namespaces::Sysctls(
    const SandboxRecord& sandbox) const {
  const auto& wanted = sandbox.config().sysctls();
  std::map<std::string, std::string> all(wanted.begin(), wanted.end());
  if (!OwnNetwork(sandbox)) return all;
  std::vector<std::string> given;
  for (const auto& [name, value] : all) {
    std::string dotted = name;
    std::replace(dotted.begin(), dotted.end(), '/', '.');
    given.push_back(dotted);
  }
  const std::string port = "net.ipv4.ip_unprivileged_port_start";
  if (unprivileged_ports_ && !Contains(given, port)) all[port] = "0";
  // In a user namespace most group ids have no meaning to the kernel.
  const std::string ping = "net.ipv4.ping_group_range";
  if (unprivileged_icmp_ && !Contains(given, ping) &&
      sandbox.config().namespaces().uid_mappings_size() == 0) {
    all[ping] = "0 2147483647";
  }
  return all;
}

Status Namespaces::Borrow(SandboxRecord& sandbox) const {
  const auto& options = sandbox.config().namespaces();
  NamespacesState& state = *sandbox.mutable_namespaces();
  if (options.network() == state::v1::NAMESPACE_MODE_TARGET) {
    const auto other =
        inventory_.FindSandbox(SandboxId(options.network_target()));
    if (!other || other->phase() != state::v1::SANDBOX_PHASE_READY) {
      return FailedPrecondition("join network of sandbox " +
                                Quoted(options.network_target()) +
                                ": not running");
    }
    state.set_network(other->namespaces().network());
    state.set_network_borrowed(true);
  }
  if (options.ipc() == state::v1::NAMESPACE_MODE_TARGET) {
    const auto other = inventory_.FindSandbox(SandboxId(options.ipc_target()));
    if (!other || other->phase() != state::v1::SANDBOX_PHASE_READY) {
      return FailedPrecondition("join ipc of sandbox " +
                                Quoted(options.ipc_target()) + ": not running");
    }
    state.set_ipc(other->namespaces().ipc());
    state.set_ipc_borrowed(true);
    sandbox.mutable_directory()->set_shm_path(other->directory().shm_path());
  }
  return OkStatus();
}

StatusOr<std::string> SysctlFile(const std::string& name, bool own_network,
                                 bool own_ipc, bool own_uts) {
  // The first separator decides: in "net/ipv4/conf/eth0.1/x" dots are dots.
  std::string file = name;
  const size_t first = file.find_first_of("./");
  if (first != std::string::npos && file[first] == '.') {
    for (char& c : file) c = c == '.' ? '/' : c == '/' ? '.' : c;
  }
  for (const std::string& part : Split(file, '/')) {
    if (part.empty() || part == "." || part == ".." ||
        part.find('\0') != std::string::npos) {
      return InvalidArgument("sysctl " + Quoted(name) + ": not a name");
    }
  }
  if (StartsWith(file, "net/")) {
    if (own_network) return file;
    return InvalidArgument("sysctl " + Quoted(name) +
                           ": the sandbox has no network of its own");
  }
  if (file == "kernel/domainname" || file == "kernel/hostname") {
    if (own_uts && file == "kernel/domainname") return file;
    return InvalidArgument("sysctl " + Quoted(name) + ": not settable");
  }
  const bool ipc = StartsWith(file, "kernel/shm") ||
                   StartsWith(file, "kernel/msg") || file == "kernel/sem" ||
                   StartsWith(file, "fs/mqueue/");
  if (ipc && own_ipc) return file;
  return InvalidArgument("sysctl " + Quoted(name) +
                         (ipc ? ": the sandbox shares the host's ipc namespace"
                              : ": not bound to a namespace"));
}

}  // namespace berth::sandbox
