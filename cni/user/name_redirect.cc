#include "cni/user/name_redirect.h"

#include <sched.h>

#include "base/io/subprocess.h"
#include "base/strings.h"
#include "base/sys/namespace.h"
#include "base/thread.h"
#include "base/unique_fd.h"

namespace berth::cni {
namespace {

// A chain of our own, which is emptied and filled anew; and one rule that goes
// there, at the first time.
std::string Rules(const char* jump) {
  std::string rules = "*nat\n:BERTH-NAMES - [0:0]\n";
  for (const char* protocol : {"udp", "tcp"}) {
    rules += "-A BERTH-NAMES -p " + std::string(protocol) +
             " --dport 53 -j DNAT --to-destination " + kNameServer + ":" +
             std::to_string(kNameServerPort) + "\n";
  }
  return rules + jump + " OUTPUT -d " + kNameServer +
         "/32 -j BERTH-NAMES\nCOMMIT\n";
}

StatusOr<CommandResult> Restore(const Context& ctx, const std::string& rules) {
  Command command;
  command.program = "/usr/sbin/iptables-restore";
  command.args = {"--noflush", "--wait"};
  command.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  command.input = rules;
  command.time_limit = std::chrono::seconds(30);
  return RunCommand(ctx, command);
}

Status Redirect(const Context& ctx) {
  // All or nothing: with the rule missing, -C fails, and nothing is changed.
  ASSIGN_OR_RETURN(CommandResult result, Restore(ctx, Rules("-C")));
  if (result.ok()) return OkStatus();
  ASSIGN_OR_RETURN(result, Restore(ctx, Rules("-A")));
  if (result.ok()) return OkStatus();
  return Internal(result.Describe() + ": " + std::string(Trim(result.errors)));
}

}  // namespace

Status RedirectNames(const Context& ctx, const std::string& netns) {
  const std::string what = "redirect the name server's port";
  ASSIGN_OR_RETURN_AS(const UniqueFd fd, OpenNamespace(netns, CLONE_NEWNET),
                      what);
  Status done;
  ASSIGN_OR_RETURN_AS(Thread inside,
                      StartThread("names",
                                  [&] {
                                    done =
                                        EnterNamespace(fd.get(), CLONE_NEWNET);
                                    if (done.ok()) done = Redirect(ctx);
                                  }),
                      what);
  inside.Join();
  return Annotate(done, what);
}

}  // namespace berth::cni
