#ifndef SANDBOX_RESOURCE_STATE_DIRECTORY_H_
#define SANDBOX_RESOURCE_STATE_DIRECTORY_H_

#include <string>
#include <vector>

#include "base/fs/host_paths.h"
#include "sandbox/resource/sandbox_resource.h"

namespace berth::sandbox {

// The sandbox's directories:
//
//   <state>/sandboxes/<id>   0700: pinned namespaces, shim.sock, shm (a tmpfs)
//   <root>/sandboxes/<id>    hostname, hosts, resolv.conf, bound into each
//                            container
//
// Thread-safe.
class StateDirectory : public SandboxResource {
 public:
  explicit StateDirectory(const HostPaths& paths) : paths_(paths) {}

  std::string name() const override { return "directory"; }
  Status Acquire(const Context& ctx,
                 state::v1::SandboxRecord& sandbox) override;
  Status Recover(const Context& ctx,
                 state::v1::SandboxRecord& sandbox) override;
  Status Release(const Context& ctx,
                 const state::v1::SandboxRecord& sandbox) override;

 private:
  const HostPaths paths_;
};

// What the three files say. Pure.
std::string ResolvConf(const state::v1::DnsConfig& dns);
// The same read back: of an administrator's file, say.
state::v1::DnsConfig ParseResolvConf(const std::string& text);
// "name:address" entries after the standard lines; then the sandbox's own
// name at each of its addresses.
std::string HostsFile(const std::vector<std::string>& extra_hosts,
                      const std::vector<std::string>& addresses,
                      const std::string& hostname,
                      const std::string& domainname,
                      const std::vector<std::string>& more_lines = {});

// What depends on the sandbox's networks (STANDALONE): `resolv.conf`, and what
// its name server reads.
Status WriteNameFiles(const state::v1::SandboxRecord& sandbox,
                      const HostPaths& paths);

// Writes `hosts` anew, now that the addresses are known (STANDALONE; a pod's
// file is a copy of the host's, and kubelet mounts its own over it).
Status WriteHostsFile(const state::v1::SandboxRecord& sandbox);

}  // namespace berth::sandbox

#endif  // SANDBOX_RESOURCE_STATE_DIRECTORY_H_
