#include "sandbox/resource/name_files.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/fs/atomic_file.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "sandbox/record/files.h"
#include "sandbox/resource/network_state.h"

namespace berth::sandbox {
namespace {

// How many digits of an id stand for a container.
constexpr size_t kShortId = 12;

std::string FileOf(const HostPaths& paths, const std::string& network) {
  return paths.state + "/networks/" + network;
}

void Add(const std::string& name, std::vector<std::string>& names) {
  if (name.empty() || name.find_first_of(" \t\n#") != std::string::npos) return;
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    names.push_back(name);
  }
}

// "ADDRESS NAME.NETWORK NAME ALIAS ..." for each address.
void AppendLines(const SandboxRecord& sandbox, const ContainerRecord& container,
                 int at, std::string& text) {
  const auto& asked = sandbox.config().networks(at);
  std::vector<std::string> names;
  Add(container.config().name(), names);
  for (const std::string& alias : asked.aliases()) Add(alias, names);
  Add(container.id().substr(0, kShortId), names);
  Add(sandbox.hostname(), names);
  std::string line;
  for (const std::string& name : names) line += " " + name + "." + asked.name();
  for (const std::string& name : names) line += " " + name;
  for (const auto& ip : StateOf(sandbox, at).ips()) {
    text += ip.address() + line + "\n";
  }
}

}  // namespace

bool HasNames(const SandboxConfig& config) {
  return std::any_of(config.networks().begin(), config.networks().end(),
                     [](const auto& one) { return !one.network().empty(); });
}

std::string NamesPath(const HostPaths& paths, const std::string& sandbox_id) {
  return paths.SandboxState(sandbox_id) + "/names";
}

std::string NamesOf(const SandboxConfig& config, const HostPaths& paths) {
  std::string text;
  bool out = false;
  for (const auto& one : config.networks()) {
    out = out || !one.internal();
    if (one.network().empty()) continue;
    text += "network " + FileOf(paths, one.network()) + "\n";
    for (const auto& [alias, name] : one.links()) {
      text += "link " + alias + " " + name + "\n";
    }
  }
  // From inside of networks without a way out nobody else is asked either.
  if (!out) return text;
  for (const std::string& server : config.dns().servers()) {
    text += "forward " + server + "\n";
  }
  if (config.dns().servers().empty()) text += "forward-by /etc/resolv.conf\n";
  return text;
}

Status WriteNames(const SandboxRecord& sandbox, const HostPaths& paths) {
  return ReplaceFile(NamesPath(paths, sandbox.id()),
                     NamesOf(sandbox.config(), paths), 0600);
}

Status NetworkNames::Write(const std::string& network) {
  std::string text;
  SandboxFilter ready;
  ready.ready = true;
  ready.kind = state::v1::SANDBOX_KIND_STANDALONE;
  for (const SandboxStatus& sandbox : inventory_.Sandboxes(ready)) {
    for (int at = 0; at < sandbox->config().networks_size(); ++at) {
      if (sandbox->config().networks(at).network() != network) continue;
      for (const ContainerStatus& container :
           inventory_.ContainersOf(SandboxId(sandbox->id()))) {
        AppendLines(*sandbox, *container, at, text);
      }
    }
  }
  const std::string file = FileOf(paths_, network);
  if (text.empty()) {
    return unlink(file.c_str()) == 0 || errno == ENOENT
               ? OkStatus()
               : Errno(errno, "remove " + Quoted(file));
  }
  RETURN_IF_ERROR(MakeDirectories(paths_.state + "/networks", 0700));
  return ReplaceFile(file, text, 0600);
}

void NetworkNames::Update(const SandboxConfig& config) {
  MutexLock lock(mutex_);
  for (const auto& one : config.networks()) {
    if (one.network().empty()) continue;
    const Status written = Write(one.network());
    LOG_IF(WARNING, !written.ok()) << "write the names of network "
                                   << one.network() << ": " << Message(written);
  }
}

void NetworkNames::UpdateAll() {
  SandboxConfig all;
  std::set<std::string> networks;
  for (const SandboxStatus& sandbox : inventory_.AllSandboxes()) {
    for (const auto& one : sandbox->config().networks()) {
      networks.insert(one.network());
    }
  }
  // Those that nobody is on any more.
  const StatusOr<UniqueFd> dir =
      OpenFile(paths_.state + "/networks", O_RDONLY | O_DIRECTORY);
  if (dir.ok()) {
    const auto files = ListDirectory(dir->get());
    if (files.ok()) networks.insert(files->begin(), files->end());
  }
  for (const std::string& network : networks) {
    all.add_networks()->set_network(network);
  }
  Update(all);
}

}  // namespace berth::sandbox
