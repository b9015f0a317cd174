// What the name server in a sandbox reads: berth-shim serves it, so that names
// are answered while the daemon is away (shim/names/name_table.h has the other
// end of both formats).
//
//   <state>/sandboxes/<id>/names   "network FILE", "link ALIAS NAME" lines,
//                                  "forward ADDRESS" or "forward-by FILE" ones
//   <state>/networks/<network id>  who is on it: hosts(5), the first name of a
//                                  line is the answer for its address
#ifndef SANDBOX_RESOURCE_NAME_FILES_H_
#define SANDBOX_RESOURCE_NAME_FILES_H_

#include <set>
#include <string>

#include "base/fs/host_paths.h"
#include "base/mutex.h"
#include "base/status.h"
#include "sandbox/inventory.h"

namespace berth::sandbox {

// The sandbox is on a network whose members know each other by name: one that
// a user has made.
bool HasNames(const SandboxConfig& config);

std::string NamesPath(const HostPaths& paths, const std::string& sandbox_id);

// Of the sandbox's own file. Pure.
std::string NamesOf(const SandboxConfig& config, const HostPaths& paths);
Status WriteNames(const SandboxRecord& sandbox, const HostPaths& paths);

// The file of each network, written anew when one of its sandboxes starts,
// stops, or gets another name. Thread-safe.
class NetworkNames {
 public:
  NetworkNames(const HostPaths& paths, const Inventory& inventory)
      : paths_(paths), inventory_(inventory) {}

  // By what the inventory shows; failures are logged, as the next update makes
  // up for them.
  void Update(const SandboxConfig& config);
  void UpdateAll();

 private:
  Status Write(const std::string& network) REQUIRES(mutex_);

  const HostPaths paths_;
  const Inventory& inventory_;
  // One write at a time, so that an older one never replaces a newer.
  Mutex mutex_;
};

}  // namespace berth::sandbox

#endif  // SANDBOX_RESOURCE_NAME_FILES_H_
