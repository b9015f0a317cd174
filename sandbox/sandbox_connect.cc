#include "sandbox/sandbox_connect.h"

#include <optional>
#include <set>
#include <utility>

#include "base/failpoint.h"
#include "base/strings.h"
#include "sandbox/container_end.h"
#include "sandbox/resource/network_state.h"
#include "sandbox/resource/pod_network.h"
#include "sandbox/resource/state_directory.h"
#include "sandbox/step.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;

bool IsReady(const SandboxRecord& sandbox) {
  return sandbox.phase() == SANDBOX_PHASE_READY;
}

// Where the network is among the sandbox's.
std::optional<int> Find(const SandboxRecord& sandbox,
                        const std::string& network) {
  for (int at = 0; at < sandbox.config().networks_size(); ++at) {
    if (sandbox.config().networks(at).network() == network) return at;
  }
  return std::nullopt;
}

// The default network by name, where it was meant.
void Spell(SandboxRecord& sandbox) {
  SandboxConfig& config = *sandbox.mutable_config();
  if (config.networks().empty() && !config.exact_networks()) {
    config.add_networks();
  }
  config.set_exact_networks(true);
}

std::string FreeInterface(const SandboxRecord& sandbox) {
  std::set<std::string> taken;
  for (int at = 0; at <= sandbox.more_networks_size(); ++at) {
    taken.insert(StateOf(sandbox, at).interface());
  }
  int number = 0;
  while (taken.count("eth" + std::to_string(number)) > 0) ++number;
  return "eth" + std::to_string(number);
}

// Two attachments cannot share a name: plugins, and their results in the
// database, know an attachment by it.
Status CheckInterface(const SandboxRecord& sandbox,
                      const NetworkAttachment& wanted) {
  if (wanted.interface().empty()) return OkStatus();
  for (int at = 0; at < sandbox.config().networks_size(); ++at) {
    const NetworkAttachment& other = sandbox.config().networks(at);
    if (other.network() == wanted.network() ||
        (other.interface() != wanted.interface() &&
         (!IsReady(sandbox) ||
          StateOf(sandbox, at).interface() != wanted.interface()))) {
      continue;
    }
    return InvalidArgument("interface " + Quoted(wanted.interface()) +
                           " is that of network " + Quoted(other.network()));
  }
  return OkStatus();
}

// Drops an attachment and its state, which stand at the same place.
void Drop(SandboxRecord& sandbox, int at) {
  sandbox.mutable_config()->mutable_networks()->DeleteSubrange(at, 1);
  if (at > 0) {
    if (at <= sandbox.more_networks_size()) {
      sandbox.mutable_more_networks()->DeleteSubrange(at - 1, 1);
    }
    return;
  }
  sandbox.clear_network();
  if (sandbox.more_networks_size() == 0) return;
  *sandbox.mutable_network() = sandbox.more_networks(0);
  sandbox.mutable_more_networks()->DeleteSubrange(0, 1);
}

// What is told of the networks inside and to the others.
Status Tell(Core& core, const SandboxRecord& sandbox) {
  RETURN_IF_ERROR(WriteNameFiles(sandbox, core.paths));
  return WriteHostsFile(sandbox);
}

}  // namespace

Status ConnectSandbox(const Context& ctx, Core& core, SandboxRecord& sandbox,
                      const NetworkAttachment& wanted) {
  if (sandbox.config().namespaces().network() != NAMESPACE_MODE_POD) {
    return FailedPrecondition("the sandbox has no network of its own");
  }
  Spell(sandbox);
  std::optional<int> at = Find(sandbox, wanted.network());
  // One that is not attached is what a try that was cut off has left.
  if (at && (!IsReady(sandbox) || StateOf(sandbox, *at).attached())) {
    return AlreadyExists("the sandbox is on network " +
                         Quoted(wanted.network()));
  }
  RETURN_IF_ERROR(CheckInterface(sandbox, wanted));
  if (!at) {
    at = sandbox.config().networks_size();
    sandbox.mutable_config()->add_networks();
  }
  *sandbox.mutable_config()->mutable_networks(*at) = wanted;
  if (!IsReady(sandbox)) return core.records.Save(sandbox);
  if (StateOf(sandbox, *at).interface().empty()) {
    const std::string interface = wanted.interface().empty()
                                      ? FreeInterface(sandbox)
                                      : wanted.interface();
    MutableState(sandbox, *at).set_interface(interface);
  }
  MutableState(sandbox, *at).set_attaching(true);
  RETURN_IF_ERROR(core.records.Save(sandbox));
  RETURN_IF_ERROR(Failpoint("sandbox.connect.recorded"));
  Status connected =
      ConnectOne(ctx, core.paths, core.parts.network, sandbox, *at);
  if (connected.ok()) connected = Failpoint("sandbox.connect.attached");
  if (connected.ok()) connected = Tell(core, sandbox);
  if (!connected.ok()) {
    const Context clean_up = Context::Background(sandbox.id());
    LogFailure("disconnect sandbox " + sandbox.id(),
               DisconnectOne(clean_up, core.parts.network, sandbox, *at));
    Drop(sandbox, *at);
    LogFailure("set the way out of sandbox " + sandbox.id(),
               SetGateways(sandbox));
    LogFailure("tell sandbox " + sandbox.id() + " of its networks",
               Tell(core, sandbox));
  }
  core.records.Keep(sandbox);
  core.network_names.Update(sandbox.config());
  return StepError(connected, "connect sandbox " + sandbox.id());
}

Status DisconnectSandbox(const Context& ctx, Core& core, SandboxRecord& sandbox,
                         const std::string& network) {
  Spell(sandbox);
  const std::optional<int> at = Find(sandbox, network);
  if (!at) return NotFound("the sandbox is not on network " + Quoted(network));
  const SandboxConfig before = sandbox.config();
  if (IsReady(sandbox)) {
    MutableState(sandbox, *at).set_attached(false);
    core.records.Keep(sandbox);
    RETURN_IF_ERROR(Failpoint("sandbox.disconnect.recorded"));
    RETURN_IF_ERROR(
        StepError(DisconnectOne(ctx, core.parts.network, sandbox, *at),
                  "disconnect sandbox " + sandbox.id()));
    RETURN_IF_ERROR(Failpoint("sandbox.disconnect.detached"));
  }
  Drop(sandbox, *at);
  core.records.Keep(sandbox);
  core.network_names.Update(before);
  if (!IsReady(sandbox)) return OkStatus();
  LogFailure("set the way out of sandbox " + sandbox.id(),
             SetGateways(sandbox));
  LogFailure("tell sandbox " + sandbox.id() + " of its networks",
             Tell(core, sandbox));
  return OkStatus();
}

}  // namespace berth::sandbox
