#ifndef CNI_CONFIG_LIST_H_
#define CNI_CONFIG_LIST_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "cni/masquerade.h"

namespace berth::cni {

// A network as its administrator wrote it: plugins to run one after another.
// (CNI specification 1.1.0, section 1.) A value.
struct ConfigList {
  std::string file;  // where it was read; "" if nowhere
  std::string text;  // as it was written
  std::string name;
  std::string cni_version;  // the one to speak: 0.3.0 to 1.1.0
  bool disable_check = false;
  bool disable_gc = false;
  std::vector<Json> plugins;  // each with its "type"
  // Our own member "berth": {"masquerade": {"subnet", "interface"}}.
  std::optional<Masquerade> masquerade;
};

// Parses a list ("plugins": [...]) or a configuration of a single plugin.
// INVALID_ARGUMENT names the file and the member.
StatusOr<ConfigList> ParseConfigList(std::string_view text,
                                     const std::string& file);

// True if `version` is `least` or later; both "X.Y.Z".
bool VersionAtLeast(std::string_view version, std::string_view least);

// What a node without any configuration gets: a bridge with addresses by
// host-local, masquerading (by one rule), and published ports.
struct DefaultNetwork {
  std::string name = "berth";
  std::string bridge = "berth0";
  std::string subnet = "10.88.0.0/16";
  std::string address_directory;  // host-local's; "" is its own default
};
// Writes it to `directory`/10-berth.conflist, making the directory, unless a
// configuration is there already; true if it wrote.
StatusOr<bool> WriteDefaultConfig(const std::string& directory,
                                  const DefaultNetwork& network);

// The files of the folder that may be configurations, sorted. NOT_FOUND if
// there is no such folder.
StatusOr<std::vector<std::string>> ConfigFiles(const std::string& directory);

}  // namespace berth::cni

#endif  // CNI_CONFIG_LIST_H_
