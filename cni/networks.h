#ifndef CNI_NETWORKS_H_
#define CNI_NETWORKS_H_

#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "cni/config_list.h"

namespace berth::cni {

// The networks of this node by name. Each is one valid *.conflist, *.conf or
// *.json of the folder that administrators and network add-ons put
// configurations in; of two with one name the lexically first file counts. The
// network of the first file of all is the node's default: every pod's.
//
// The folder is watched (inotify(7)), and read again at the first use after a
// change; there is no thread. Thread-safe.
class Networks {
 public:
  explicit Networks(std::string directory);

  // The network with this name; "" asks for the default network. UNAVAILABLE,
  // with the reason, if the node has no network yet; FAILED_PRECONDITION if no
  // network has this name.
  StatusOr<std::shared_ptr<const ConfigList>> Find(const std::string& name);
  // All of them; of two with one name the first.
  std::vector<std::shared_ptr<const ConfigList>> All();

 private:
  bool Changed() REQUIRES(mutex_);
  void Load() REQUIRES(mutex_);

  const std::string directory_;
  Mutex mutex_;
  UniqueFd inotify_ GUARDED_BY(mutex_);
  bool watching_ GUARDED_BY(mutex_) = false;
  std::vector<std::shared_ptr<const ConfigList>> all_ GUARDED_BY(mutex_);
  // Why the folder or its first invalid file cannot be used; "" if all of it
  // can.
  std::string wrong_ GUARDED_BY(mutex_);
};

}  // namespace berth::cni

#endif  // CNI_NETWORKS_H_
