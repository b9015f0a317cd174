#include "sandbox/resource/state_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/failpoint.h"
#include "base/strings.h"
#include "base/sys/id_mapped.h"
#include "base/sys/mount.h"
#include "base/unique_fd.h"
#include "cni/user/name_redirect.h"
#include "sandbox/record/files.h"
#include "sandbox/resource/name_files.h"
#include "sandbox/resource/network_state.h"
#include "sandbox/selinux/relabel.h"
#include "sandbox/spec/id_maps.h"

namespace berth::sandbox {
namespace {

using ::berth::state::v1::SandboxRecord;

constexpr int64_t kDefaultShmSize = 64 << 20;

bool OwnIpc(const SandboxRecord& sandbox) {
  return sandbox.config().namespaces().ipc() == state::v1::NAMESPACE_MODE_POD;
}

// Shared memory of all containers of the sandbox.
Status MountShm(const SandboxRecord& sandbox) {
  const std::string& path = sandbox.directory().shm_path();
  RETURN_IF_ERROR(MakeDirectory(path, 01777));
  const int64_t size = sandbox.config().shm_size() > 0
                           ? sandbox.config().shm_size()
                           : kDefaultShmSize;
  std::vector<std::string> options = {"nosuid", "nodev", "noexec", "mode=1777",
                                      "size=" + std::to_string(size)};
  if (!sandbox.mount_label().empty()) {
    options.push_back("context=" + sandbox.mount_label());
  }
  return MountAt(Mount{"tmpfs", "shm", path, options});
}

std::string HostFile(const std::string& path) {
  StatusOr<std::string> text = ReadSmallFile(path, 1 << 20);
  return text.ok() ? *std::move(text) : "";
}

// That of a sandbox whose names we serve: our server in place of the others.
std::string ServedResolvConf(const state::v1::SandboxConfig& config) {
  state::v1::DnsConfig dns = config.dns();
  const state::v1::DnsConfig host =
      ParseResolvConf(HostFile("/etc/resolv.conf"));
  if (dns.searches().empty()) *dns.mutable_searches() = host.searches();
  if (dns.options().empty()) *dns.mutable_options() = host.options();
  dns.clear_servers();
  dns.add_servers(cni::kNameServer);
  const bool dots = std::any_of(
      dns.options().begin(), dns.options().end(),
      [](const std::string& one) { return StartsWith(one, "ndots:"); });
  if (!dots) dns.add_options("ndots:0");
  return ResolvConf(dns);
}

Status WriteFiles(const SandboxRecord& sandbox, const HostPaths& paths) {
  const auto& config = sandbox.config();
  const std::string& root = sandbox.directory().root_path();
  RETURN_IF_ERROR(
      WriteSmallFile(root + "/hostname", sandbox.hostname() + "\n", 0644));
  RETURN_IF_ERROR(WriteNameFiles(sandbox, paths));
  if (config.kind() == state::v1::SANDBOX_KIND_STANDALONE) {
    return WriteHostsFile(sandbox);
  }
  return WriteSmallFile(root + "/hosts", HostFile("/etc/hosts"), 0644);
}

// For SELinux. Their text changes later, in place.
Status LabelFiles(const SandboxRecord& sandbox) {
  for (const char* name : {"/hostname", "/resolv.conf", "/hosts"}) {
    RETURN_IF_ERROR(SetLabel(sandbox.directory().root_path() + name,
                             sandbox.mount_label()));
  }
  return OkStatus();
}

// To the root of the sandbox's user namespace, if it has one.
Status GiveToNamespace(const SandboxRecord& sandbox) {
  const IdMaps maps = IdMapsOf(sandbox.config());
  if (maps.empty()) return OkStatus();
  const auto uid = OutsideId(maps.uids, 0);
  const auto gid = OutsideId(maps.gids, 0);
  if (!uid || !gid) {
    return InvalidArgument("namespaces.uid_mappings: no root in them");
  }
  const std::string& root = sandbox.directory().root_path();
  std::vector<std::string> paths = {root + "/hostname", root + "/resolv.conf",
                                    root + "/hosts"};
  if (OwnIpc(sandbox)) paths.push_back(sandbox.directory().shm_path());
  for (const std::string& path : paths) {
    if (lchown(path.c_str(), *uid, *gid) != 0) {
      return Errno(errno, "chown " + Quoted(path));
    }
  }
  return OkStatus();
}

}  // namespace

Status StateDirectory::Acquire(const Context&, SandboxRecord& sandbox) {
  auto& directory = *sandbox.mutable_directory();
  directory.set_state_path(paths_.SandboxState(sandbox.id()));
  directory.set_root_path(paths_.root + "/sandboxes/" + sandbox.id());
  RETURN_IF_ERROR(MakeDirectories(directory.state_path(), 0700));
  RETURN_IF_ERROR(MakeDirectories(directory.root_path(), 0700));
  if (OwnIpc(sandbox)) {
    directory.set_shm_path(directory.state_path() + "/shm");
    RETURN_IF_ERROR(MountShm(sandbox));
  }
  RETURN_IF_ERROR(WriteFiles(sandbox, paths_));
  RETURN_IF_ERROR(LabelFiles(sandbox));
  RETURN_IF_ERROR(GiveToNamespace(sandbox));
  return Failpoint("sandbox.start.directory");
}

Status StateDirectory::Recover(const Context&, SandboxRecord& sandbox) {
  struct stat info;
  const std::string& path = sandbox.directory().state_path();
  if (stat(path.c_str(), &info) != 0) {
    return Errno(errno, "stat " + Quoted(path));
  }
  return OkStatus();
}

Status StateDirectory::Release(const Context&, const SandboxRecord& sandbox) {
  const std::string state = paths_.SandboxState(sandbox.id());
  RETURN_IF_ERROR(IgnoreNotFound(DetachMounts(state + "/shm")));
  RETURN_IF_ERROR(RemoveTree(state));
  RETURN_IF_ERROR(RemoveTree(paths_.root + "/sandboxes/" + sandbox.id()));
  return Failpoint("sandbox.stop.directory");
}

std::string ResolvConf(const state::v1::DnsConfig& dns) {
  std::string text;
  const auto join = [&](const char* word, const auto& items) {
    if (items.empty()) return;
    text += word;
    for (const std::string& item : items) text += " " + item;
    text += "\n";
  };
  join("search", dns.searches());
  for (const std::string& server : dns.servers()) {
    text += "nameserver " + server + "\n";
  }
  join("options", dns.options());
  return text;
}

state::v1::DnsConfig ParseResolvConf(const std::string& text) {
  state::v1::DnsConfig dns;
  for (std::string line : Split(text, '\n')) {
    std::replace(line.begin(), line.end(), '\t', ' ');
    std::vector<std::string> words;
    for (std::string& word : Split(line, ' ')) {
      if (!word.empty()) words.push_back(std::move(word));
    }
    if (words.size() < 2) continue;
    const auto rest = words.begin() + 1;
    if (words[0] == "nameserver") dns.add_servers(*rest);
    // The last one counts (resolv.conf(5)).
    if (words[0] == "search" || words[0] == "domain") {
      dns.mutable_searches()->Assign(rest, words.end());
    }
    if (words[0] == "options") dns.mutable_options()->Add(rest, words.end());
  }
  return dns;
}

Status WriteNameFiles(const SandboxRecord& sandbox, const HostPaths& paths) {
  const auto& config = sandbox.config();
  std::string resolv_conf;
  if (HasNames(config)) {
    RETURN_IF_ERROR(WriteNames(sandbox, paths));
    resolv_conf = ServedResolvConf(config);
  } else {
    resolv_conf = config.has_dns() ? ResolvConf(config.dns())
                                   : HostFile("/etc/resolv.conf");
  }
  return WriteSmallFile(sandbox.directory().root_path() + "/resolv.conf",
                        resolv_conf, 0644);
}

std::string HostsFile(const std::vector<std::string>& extra_hosts,
                      const std::vector<std::string>& addresses,
                      const std::string& hostname,
                      const std::string& domainname,
                      const std::vector<std::string>& more_lines) {
  std::string text =
      "127.0.0.1\tlocalhost\n"
      "::1\tlocalhost ip6-localhost ip6-loopback\n"
      "fe00::\tip6-localnet\n"
      "ff00::\tip6-mcastprefix\n"
      "ff02::1\tip6-allnodes\n"
      "ff02::2\tip6-allrouters\n";
  for (const std::string& entry : extra_hosts) {
    const size_t colon = entry.find(':');
    if (colon == std::string::npos) continue;
    text += entry.substr(colon + 1) + "\t" + entry.substr(0, colon) + "\n";
  }
  for (const std::string& line : more_lines) text += line + "\n";
  const std::string names = domainname.empty()
                                ? hostname
                                : hostname + "." + domainname + " " + hostname;
  for (const std::string& address : addresses) {
    text += address + "\t" + names + "\n";
  }
  return text;
}

namespace {

// The host as the sandbox reaches it; "" if there is no way out.
std::string HostAddress(const SandboxRecord& sandbox) {
  const int at = GatewayOf(sandbox.config()).value_or(0);
  for (const auto& ip : StateOf(sandbox, at).ips()) {
    if (!ip.gateway().empty()) return ip.gateway();
  }
  return "";
}

// With the host's address where the client wants it.
std::vector<std::string> ExtraHosts(const SandboxRecord& sandbox) {
  constexpr std::string_view kHost = ":host-gateway";
  std::vector<std::string> entries;
  for (std::string entry : sandbox.config().extra_hosts()) {
    if (EndsWith(entry, kHost)) {
      const std::string address = HostAddress(sandbox);
      if (address.empty()) continue;
      entry.resize(entry.size() - kHost.size() + 1);
      entry += address;
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace

Status WriteHostsFile(const SandboxRecord& sandbox) {
  std::vector<std::string> addresses;
  for (int at = 0; at <= sandbox.more_networks_size(); ++at) {
    for (const auto& ip : StateOf(sandbox, at).ips()) {
      addresses.push_back(ip.address());
    }
  }
  const auto& config = sandbox.config();
  return WriteSmallFile(
      sandbox.directory().root_path() + "/hosts",
      HostsFile(ExtraHosts(sandbox), addresses, sandbox.hostname(),
                config.domainname(),
                {config.linked_hosts().begin(), config.linked_hosts().end()}),
      0644);
}

}  // namespace berth::sandbox
