#ifndef SANDBOX_SETTINGS_H_
#define SANDBOX_SETTINGS_H_

#include <cstdint>
#include <map>
#include <string>

#include "base/clock.h"
#include "base/status.h"

namespace berth::sandbox {

// A runtime handler.
struct Runtime {
  // Absolute path of a shim, or "io.containerd.NAME.VER" (shim/shim.h).
  std::string shim = "/usr/libexec/berth/berth-shim";
  // Absolute path of the berth-shim beside a foreign shim; empty for our own.
  std::string helper;
  // Absolute path of a runc-compatible program; empty: the shim's own.
  std::string program;
  // Privileged containers get no devices of the host.
  bool privileged_without_host_devices = false;
};

// What the daemon's configuration decides for sandboxes.
struct Settings {
  std::string root = "/var/lib/berth";
  std::string state = "/run/berth";
  // Parent of sandboxes that name none.
  std::string cgroup_parent = "/berth";
  bool systemd_cgroup = false;
  // What a request may name as its runtime handler; "" is the default and
  // must be there.
  std::map<std::string, Runtime> runtimes;
  // Set net.ipv4.ip_unprivileged_port_start=0 and ping_group_range in pods
  // with their own network and no user namespace.
  bool enable_unprivileged_ports = true;
  bool enable_unprivileged_icmp = true;
  // Bytes of a log record: a longer line is cut.
  uint32_t log_line = 16384;
  // How long a shim may be silent about the exit of a container that was
  // killed before it is taken for stuck.
  Duration shim_silence = std::chrono::seconds(10);
  // That AppArmor's default profile is loaded, or why not
  // (apparmor/default_profile.h).
  Status apparmor_default = Unimplemented("no default profile");
  std::string cdi_spec_dirs = "/etc/cdi:/var/run/cdi";
};

}  // namespace berth::sandbox

#endif  // SANDBOX_SETTINGS_H_
