#include "cni/masquerade.h"

#include <net/if.h>
#include <unistd.h>

#include <chrono>
#include <vector>

#include "base/io/subprocess.h"
#include "base/strings.h"

namespace berth::cni {
namespace {

constexpr char kPath[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";

// They become arguments of a program.
Status Check(const Masquerade& network) {
  if (network.subnet.empty() ||
      network.subnet.find_first_not_of("0123456789abcdefABCDEF.:/") !=
          std::string::npos) {
    return InvalidArgument(Quoted(network.subnet) + " is no subnet");
  }
  if (network.interface.empty() || network.interface.size() >= IFNAMSIZ ||
      network.interface.front() == '-' || network.interface.front() == '!' ||
      network.interface.find_first_of("/ \t\n+") != std::string::npos) {
    return InvalidArgument(Quoted(network.interface) + " is no interface");
  }
  return OkStatus();
}

StatusOr<std::string> Find(const std::string& program) {
  for (const char* folder : {"/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"}) {
    std::string path = folder + program;
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return NotFound("no " + program);
}

}  // namespace

Status MasqueradeRule::Ensure(const Context& ctx, const Masquerade& network) {
  const std::string doing = "masquerade " + network.subnet;
  RETURN_IF_ERROR_AS(Check(network), doing);
  const bool v6 = network.subnet.find(':') != std::string::npos;
  const auto run = [&](const char* action) -> StatusOr<CommandResult> {
    Command command;
    ASSIGN_OR_RETURN(command.program, Find(v6 ? "ip6tables" : "iptables"));
    command.args = {"--wait",
                    "-t",
                    "nat",
                    action,
                    "POSTROUTING",
                    "-s",
                    network.subnet,
                    "!",
                    "-d",
                    v6 ? "ff00::/8" : "224.0.0.0/4",
                    "!",
                    "-o",
                    network.interface,
                    "-m",
                    "comment",
                    "--comment",
                    "berth: addresses of " + network.interface,
                    "-j",
                    "MASQUERADE"};
    command.env = {kPath};
    command.time_limit = std::chrono::seconds(30);
    return RunCommand(ctx, command);
  };
  ASSIGN_OR_RETURN_AS(const KeyedMutex::Lock lock,
                      one_at_a_time_.Acquire(ctx, "firewall rule"), doing);
  ASSIGN_OR_RETURN_AS(CommandResult result, run("-C"), doing);
  if (result.ok()) return OkStatus();
  ASSIGN_OR_RETURN_AS(result, run("-A"), doing);
  if (result.ok()) return OkStatus();
  return Internal(doing + ": iptables " + result.Describe() + ": " +
                  std::string(Trim(result.errors)));
}

}  // namespace berth::cni
