// start, kill, delete, pause, resume.
#include <signal.h>

#include "base/strings.h"
#include "base/sys/process.h"
#include "oci/cli/commands.h"
#include "oci/container/container.h"

namespace berth::oci {
namespace {

StatusOr<Container> LoadNamed(const Invocation& invocation,
                              const Flags& flags) {
  return Container::Load(invocation.root, flags.positional()[0]);
}

StatusOr<int> SetFrozen(const Invocation& invocation, bool frozen) {
  ASSIGN_OR_RETURN(const Flags flags, ParseCommand(invocation, {}, 1, 1));
  ASSIGN_OR_RETURN(Container container, LoadNamed(invocation, flags));
  RETURN_IF_ERROR(container.Freeze(frozen));
  return 0;
}

}  // namespace

StatusOr<int> RunStart(const Invocation& invocation) {
  ASSIGN_OR_RETURN(const Flags flags, ParseCommand(invocation, {}, 1, 1));
  ASSIGN_OR_RETURN(Container container, LoadNamed(invocation, flags));
  std::optional<NotifyRelay> relay;
  // Of any other Start says why it cannot be started.
  const auto state = container.State();
  if (state.ok() && state->status == ContainerStatus::kCreated) {
    RETURN_IF_ERROR(ListenForReady(invocation, container.id(), relay));
  }
  const auto init =
      relay ? OpenPidfd(container.init_pid()) : StatusOr<UniqueFd>(UniqueFd());
  RETURN_IF_ERROR(container.Start());
  if (!relay || !init.ok()) return 0;
  relay->Await(container.init_pid(), *init);
  return 0;
}

StatusOr<int> RunKill(const Invocation& invocation) {
  ASSIGN_OR_RETURN(
      const Flags flags,
      ParseCommand(invocation, {{"all", "a", false, "to every process"}}, 1,
                   2));
  int signal = SIGTERM;
  if (flags.positional().size() > 1) {
    ASSIGN_OR_RETURN(signal, ParseSignal(flags.positional()[1]));
  }
  ASSIGN_OR_RETURN(Container container, LoadNamed(invocation, flags));
  RETURN_IF_ERROR(container.Kill(signal, flags.On("all")));
  return 0;
}

StatusOr<int> RunDelete(const Invocation& invocation) {
  ASSIGN_OR_RETURN(
      const Flags flags,
      ParseCommand(invocation, {{"force", "f", false, "kill it first"}}, 1, 1));
  const bool force = flags.On("force");
  auto container = LoadNamed(invocation, flags);
  if (!container.ok()) {
    if (!force) return container.status();
    RETURN_IF_ERROR(
        Container::DeleteRemains(invocation.root, flags.positional()[0]));
    return 0;
  }
  RETURN_IF_ERROR(container->Delete(force));
  for (const std::string& warning : container->warnings()) {
    invocation.log.Warning(warning);
  }
  return 0;
}

StatusOr<int> RunPause(const Invocation& invocation) {
  return SetFrozen(invocation, true);
}

StatusOr<int> RunResume(const Invocation& invocation) {
  return SetFrozen(invocation, false);
}

}  // namespace berth::oci
