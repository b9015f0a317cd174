#ifndef CNI_CONFIG_LIST_H_
#define CNI_CONFIG_LIST_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/unique_fd.h"
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

// The folder that administrators and network add-ons put configurations in.
// Of *.conflist, *.conf and *.json the lexically first valid one counts, and
// the others do not.
//
// It is watched (inotify(7)), and read again at the first use after a change;
// there is no thread. Thread-safe.
class ConfigFolder {
 public:
  explicit ConfigFolder(std::string directory);

  // UNAVAILABLE, with the reason, when there is none.
  StatusOr<std::shared_ptr<const ConfigList>> Current();

 private:
  bool Changed() REQUIRES(mutex_);
  StatusOr<std::shared_ptr<const ConfigList>> Load() const;

  const std::string directory_;
  Mutex mutex_;
  UniqueFd inotify_ GUARDED_BY(mutex_);
  bool watching_ GUARDED_BY(mutex_) = false;
  StatusOr<std::shared_ptr<const ConfigList>> current_ GUARDED_BY(mutex_);
};

}  // namespace berth::cni

#endif  // CNI_CONFIG_LIST_H_
