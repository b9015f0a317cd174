#include "shim/names/name_table.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "base/sys/file.h"

namespace berth::shim {
namespace {

// Some ten thousand containers.
constexpr uint64_t kMaxFile = 4 << 20;
constexpr size_t kMaxServers = 3;

std::vector<std::string> Words(std::string line) {
  std::replace(line.begin(), line.end(), '\t', ' ');
  std::vector<std::string> words;
  for (std::string& word : Split(line.substr(0, line.find('#')), ' ')) {
    if (!word.empty()) words.push_back(std::move(word));
  }
  return words;
}

// "" for one that cannot be read: it may be on its way.
std::string Contents(const std::string& path) {
  StatusOr<std::string> text = ReadFile(path, kMaxFile);
  return text.ok() ? *std::move(text) : "";
}

}  // namespace

NameSettings ParseNameSettings(std::string_view text) {
  NameSettings settings;
  for (const std::string& line : Split(text, '\n')) {
    const std::vector<std::string> words = Words(line);
    if (words.size() == 3 && words[0] == "link") {
      settings.links[Lower(words[1])] = Lower(words[2]);
    }
    if (words.size() != 2) continue;
    if (words[0] == "network") settings.networks.push_back(words[1]);
    if (words[0] == "forward" && settings.forwards.size() < kMaxServers) {
      settings.forwards.push_back(words[1]);
    }
    if (words[0] == "forward-by") settings.forward_by = words[1];
  }
  return settings;
}

NetworkHosts ParseNetworkHosts(std::string_view text) {
  NetworkHosts hosts;
  for (const std::string& line : Split(text, '\n')) {
    const std::vector<std::string> words = Words(line);
    if (words.size() < 2) continue;
    hosts.names.emplace(words[0], words[1]);
    for (size_t i = 1; i < words.size(); ++i) {
      std::vector<std::string>& all = hosts.addresses[Lower(words[i])];
      if (std::find(all.begin(), all.end(), words[0]) == all.end()) {
        all.push_back(words[0]);
      }
    }
  }
  return hosts;
}

std::vector<std::string> ParseNameServers(std::string_view text) {
  std::vector<std::string> servers;
  for (const std::string& line : Split(text, '\n')) {
    const std::vector<std::string> words = Words(line);
    if (words.size() >= 2 && words[0] == "nameserver" &&
        servers.size() < kMaxServers) {
      servers.push_back(words[1]);
    }
  }
  return servers;
}

bool NameTable::Version::operator==(const Version& other) const {
  return there == other.there && inode == other.inode && size == other.size &&
         changed.tv_sec == other.changed.tv_sec &&
         changed.tv_nsec == other.changed.tv_nsec;
}

NameTable::Version NameTable::VersionOf(const std::string& path) {
  struct stat info;
  if (path.empty() || stat(path.c_str(), &info) != 0) return Version();
  return Version{info.st_ino, info.st_size, info.st_ctim, true};
}

// The version is taken first: what changes meanwhile is seen the next time.
void NameTable::Refresh() {
  const Version now = VersionOf(path_);
  if (!(now == version_)) {
    settings_ = ParseNameSettings(Contents(path_));
    version_ = now;
    servers_version_ = Version();
    servers_ = settings_.forwards;
    std::erase_if(networks_, [&](const auto& one) {
      return std::find(settings_.networks.begin(), settings_.networks.end(),
                       one.first) == settings_.networks.end();
    });
  }
  for (const std::string& file : settings_.networks) {
    const Version version = VersionOf(file);
    Network& network = networks_[file];
    if (version == network.version) continue;
    network.hosts = ParseNetworkHosts(version.there ? Contents(file) : "");
    network.version = version;
  }
  if (settings_.forward_by.empty()) return;
  const Version version = VersionOf(settings_.forward_by);
  if (version == servers_version_) return;
  servers_ = ParseNameServers(Contents(settings_.forward_by));
  servers_version_ = version;
}

std::optional<std::vector<std::string>> NameTable::Find(
    const std::string& name) const {
  const auto link = settings_.links.find(name);
  const std::string& wanted =
      link == settings_.links.end() ? name : link->second;
  for (const std::string& file : settings_.networks) {
    const auto network = networks_.find(file);
    if (network == networks_.end()) continue;
    const auto found = network->second.hosts.addresses.find(wanted);
    if (found != network->second.hosts.addresses.end()) return found->second;
  }
  return std::nullopt;
}

std::string NameTable::NameOf(const std::string& address) const {
  for (const auto& [file, network] : networks_) {
    const auto found = network.hosts.names.find(address);
    if (found != network.hosts.names.end()) return found->second;
  }
  return "";
}

}  // namespace berth::shim
