#ifndef SANDBOX_RESOURCE_NAMESPACES_H_
#define SANDBOX_RESOURCE_NAMESPACES_H_

#include <string>

#include "base/fs/host_paths.h"
#include "sandbox/inventory.h"
#include "sandbox/resource/sandbox_resource.h"

namespace berth::sandbox {

// The sandbox's network, ipc, uts and user namespaces. They are pinned by bind
// mounts, so that no process has to live in them:
//
//   <state>/sandboxes/<id>/{netns,ipcns,utsns,userns}
//
// A standalone sandbox's network begins without IPv6 on its interfaces: plugins
// that give addresses of it turn it on.
//
// Before anything can run in them the host name and the sysctls are set, by a
// thread of ours that is inside for that moment; those of an interface that
// plugins make are set when it is there (PodNetwork). With a user namespace the
// others are owned by it; a short-lived child then holds them until pinned.
//
// The namespaces of another sandbox (NAMESPACE_MODE_TARGET) are borrowed: its
// paths are noted, nothing is made. Thread-safe.
class Namespaces : public SandboxResource {
 public:
  // `unprivileged_ports`, `unprivileged_icmp`: set the two sysctls that let
  // programs without capabilities listen on any port and ping.
  Namespaces(const HostPaths& paths, const Inventory& inventory,
             bool unprivileged_ports, bool unprivileged_icmp)
      : paths_(paths),
        inventory_(inventory),
        unprivileged_ports_(unprivileged_ports),
        unprivileged_icmp_(unprivileged_icmp) {}

  std::string name() const override { return "namespaces"; }
  Status Acquire(const Context& ctx,
                 state::v1::SandboxRecord& sandbox) override;
  Status Recover(const Context& ctx,
                 state::v1::SandboxRecord& sandbox) override;
  Status Release(const Context& ctx,
                 const state::v1::SandboxRecord& sandbox) override;

 private:
  std::map<std::string, std::string> Sysctls(
      const state::v1::SandboxRecord& sandbox) const;
  Status Borrow(state::v1::SandboxRecord& sandbox) const;

  const HostPaths paths_;
  const Inventory& inventory_;
  const bool unprivileged_ports_;
  const bool unprivileged_icmp_;
};

// Writes it, in the calling thread's namespaces. INVALID_ARGUMENT if there is
// no such file, or the kernel does not take the value.
Status SetSysctl(const std::string& file, const std::string& value);

// Whether a file that SysctlFile gave belongs to one interface, other than the
// loopback that every namespace begins with. Pure.
bool NamesInterface(const std::string& file);

// The file of a sysctl below /proc/sys, from either spelling ("net.ipv4.x",
// "net/ipv4/x"). INVALID_ARGUMENT for one that no namespace of the sandbox
// holds, and for names that are not names. Pure.
StatusOr<std::string> SysctlFile(const std::string& name, bool own_network,
                                 bool own_ipc, bool own_uts);

}  // namespace berth::sandbox

#endif  // SANDBOX_RESOURCE_NAMESPACES_H_
