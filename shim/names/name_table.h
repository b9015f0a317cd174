// The names that a sandbox's name server knows, from files that the daemon
// writes (sandbox/resource/name_files.h says what stands in them).
#ifndef SHIM_NAMES_NAME_TABLE_H_
#define SHIM_NAMES_NAME_TABLE_H_

#include <sys/stat.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::shim {

// What the sandbox's own file says.
struct NameSettings {
  std::vector<std::string> networks;         // their files
  std::map<std::string, std::string> links;  // alias -> name
  std::vector<std::string> forwards;         // addresses of other servers
  std::string forward_by;                    // or a resolv.conf(5) with them
};
NameSettings ParseNameSettings(std::string_view text);

// Who is on one network: hosts(5), names in any case.
struct NetworkHosts {
  std::map<std::string, std::vector<std::string>> addresses;  // by name
  std::map<std::string, std::string> names;                   // by address
};
NetworkHosts ParseNetworkHosts(std::string_view text);

// The first three "nameserver" lines.
std::vector<std::string> ParseNameServers(std::string_view text);

// All of that, read again whenever a file has changed. Single-threaded.
class NameTable {
 public:
  explicit NameTable(std::string path) : path_(std::move(path)) {}

  // Looks whether something has changed.
  void Refresh();
  // Nothing for a name that is not ours. `name` is in lower case.
  std::optional<std::vector<std::string>> Find(const std::string& name) const;
  // The name of an address; "" if it is not ours.
  std::string NameOf(const std::string& address) const;
  // Who to ask for all others.
  const std::vector<std::string>& servers() const { return servers_; }

 private:
  // Which version of a file was read.
  struct Version {
    ino_t inode = 0;
    off_t size = 0;
    timespec changed = {};
    bool there = false;
    bool operator==(const Version& other) const;
  };
  struct Network {
    Version version;
    NetworkHosts hosts;
  };
  static Version VersionOf(const std::string& path);

  const std::string path_;
  Version version_;
  NameSettings settings_;
  std::map<std::string, Network> networks_;  // by file
  Version servers_version_;
  std::vector<std::string> servers_;
};

}  // namespace berth::shim

#endif  // SHIM_NAMES_NAME_TABLE_H_
