#include "cni/user/bridge_firewall.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "base/io/subprocess.h"
#include "base/strings.h"

namespace berth::cni {
namespace {

constexpr char kPath[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
constexpr char kJumpForward[] = "FORWARD -j BERTH-ISOLATION-1\n";
constexpr char kJumpNat[] = "POSTROUTING -j BERTH-POSTROUTING\n";

bool IsV6(const std::string& subnet) {
  return subnet.find(':') != std::string::npos;
}

std::vector<std::string> NatRules(const FirewalledBridge& one, bool v6) {
  std::vector<std::string> rules;
  for (const std::string& subnet : one.masqueraded) {
    if (IsV6(subnet) != v6) continue;
    rules.push_back("BERTH-POSTROUTING -s " + subnet + " ! -o " + one.bridge +
                    " -j MASQUERADE\n");
  }
  return rules;
}

std::vector<std::string> FilterRules(const FirewalledBridge& one) {
  const std::string out =
      "BERTH-ISOLATION-1 -i " + one.bridge + " ! -o " + one.bridge + " -j ";
  std::vector<std::string> rules;
  // By published ports they reach each other all the same.
  if (!one.icc) {
    rules.push_back("BERTH-ISOLATION-1 -i " + one.bridge + " -o " + one.bridge +
                    " -m conntrack ! --ctstate DNAT -j DROP\n");
  }
  if (one.internal) {
    rules.push_back(out + "DROP\n");
    rules.push_back("BERTH-ISOLATION-1 ! -i " + one.bridge + " -o " +
                    one.bridge + " -j DROP\n");
  } else {
    rules.push_back(out + "BERTH-ISOLATION-2\n");
    rules.push_back("BERTH-ISOLATION-2 -o " + one.bridge +
                    " -m conntrack ! --ctstate DNAT -j DROP\n");
  }
  return rules;
}

StatusOr<CommandResult> Restore(const Context& ctx, bool v6,
                                const std::string& rules) {
  Command command;
  const std::string name = v6 ? "ip6tables-restore" : "iptables-restore";
  for (const char* folder : {"/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"}) {
    command.program = folder + name;
    if (access(command.program.c_str(), X_OK) == 0) break;
  }
  command.args = {"--noflush", "--wait"};
  command.env = {kPath};
  command.input = rules;
  command.time_limit = std::chrono::seconds(30);
  return RunCommand(ctx, command);
}

Status RestoreAll(const Context& ctx, bool v6, const std::string& rules) {
  ASSIGN_OR_RETURN(const CommandResult result, Restore(ctx, v6, rules));
  if (result.ok()) return OkStatus();
  return Internal("set the firewall's rules: " + result.Describe() + ": " +
                  std::string(Trim(result.errors)));
}

// Adds a rule to a chain of the system's unless it is there.
Status EnsureJump(const Context& ctx, bool v6, const std::string& table,
                  const std::string& rule, const char* add) {
  ASSIGN_OR_RETURN(const CommandResult there,
                   Restore(ctx, v6, "*" + table + "\n-C " + rule + "COMMIT\n"));
  if (there.ok()) return OkStatus();
  return RestoreAll(ctx, v6, "*" + table + "\n" + add + rule + "COMMIT\n");
}

// Of chains that may not be there: then there is nothing to be done.
void RemoveRules(const Context& ctx, bool v6) {
  for (const std::string& rules :
       {"*filter\n-D " + std::string(kJumpForward) +
            "-F BERTH-ISOLATION-1\n-F BERTH-ISOLATION-2\n"
            "-X BERTH-ISOLATION-1\n-X BERTH-ISOLATION-2\nCOMMIT\n",
        "*nat\n-D " + std::string(kJumpNat) +
            "-F BERTH-POSTROUTING\n-X BERTH-POSTROUTING\nCOMMIT\n"}) {
    Restore(ctx, v6, rules).status().IgnoreError();
  }
}

bool AnyV6(const std::vector<FirewalledBridge>& all) {
  return std::any_of(all.begin(), all.end(),
                     [](const FirewalledBridge& one) { return one.v6; });
}

}  // namespace

std::string FirewallRules(const std::vector<FirewalledBridge>& all, bool v6) {
  std::string nat = "*nat\n:BERTH-POSTROUTING - [0:0]\n";
  std::string filter =
      "*filter\n:BERTH-ISOLATION-1 - [0:0]\n:BERTH-ISOLATION-2 - [0:0]\n";
  for (const FirewalledBridge& one : all) {
    for (const std::string& rule : NatRules(one, v6)) nat += "-A " + rule;
    for (const std::string& rule : FilterRules(one)) filter += "-A " + rule;
  }
  return nat + "COMMIT\n" + filter + "COMMIT\n";
}

Status BridgeFirewall::ApplyFamily(const Context& ctx,
                                   const std::vector<FirewalledBridge>& all,
                                   bool v6) {
  RETURN_IF_ERROR(RestoreAll(ctx, v6, FirewallRules(all, v6)));
  RETURN_IF_ERROR(EnsureJump(ctx, v6, "filter", kJumpForward, "-I "));
  return EnsureJump(ctx, v6, "nat", kJumpNat, "-A ");
}

Status BridgeFirewall::Remove(const Context& ctx,
                              const std::vector<FirewalledBridge>& all,
                              const FirewalledBridge& one) {
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock,
                   one_at_a_time_.Acquire(ctx, "firewall"));
  for (const bool v6 : {false, true}) {
    if (v6 && !one.v6) continue;
    if (v6 ? AnyV6(all) : !all.empty()) {
      RETURN_IF_ERROR(ApplyFamily(ctx, all, v6));
    } else {
      RemoveRules(ctx, v6);
    }
  }
  return OkStatus();
}

Status BridgeFirewall::Ensure(const Context& ctx,
                              const std::vector<FirewalledBridge>& all,
                              const FirewalledBridge& one) {
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock,
                   one_at_a_time_.Acquire(ctx, "firewall"));
  for (const bool v6 : {false, true}) {
    if (v6 && !one.v6) continue;
    std::string check = "*nat\n-C " + std::string(kJumpNat);
    for (const std::string& rule : NatRules(one, v6)) check += "-C " + rule;
    check += "COMMIT\n*filter\n-C " + std::string(kJumpForward);
    for (const std::string& rule : FilterRules(one)) check += "-C " + rule;
    ASSIGN_OR_RETURN(const CommandResult there,
                     Restore(ctx, v6, check + "COMMIT\n"));
    if (!there.ok()) RETURN_IF_ERROR(ApplyFamily(ctx, all, v6));
  }
  return OkStatus();
}

}  // namespace berth::cni
