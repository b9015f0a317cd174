// How containers end: what Stop, Remove, the exit monitor, a sandbox's Stop
// and recovery have in common.
#ifndef SANDBOX_CONTAINER_END_H_
#define SANDBOX_CONTAINER_END_H_

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/context.h"
#include "base/keyed_mutex.h"
#include "base/status.h"
#include "sandbox/core.h"
#include "sandbox/ids.h"
#include "sandbox/inventory.h"
#include "shim/shim.h"

namespace berth::sandbox {

// The code of a container whose process was lost with its shim.
inline constexpr int kLostExitCode = 255;
// The code of one whose program could not be run.
inline constexpr int kStartErrorCode = 128;

ContainerRun RunOf(const state::v1::ContainerRecord& container);

// SIGKILL to everything in it, if that run has not ended, through its cgroup,
// which needs no shim; and through its shim if that alone can reach it, without
// waiting for it. Takes no lock that is held for long; logs what goes wrong.
void KillContainer(Core& core, const ContainerRun& run);

// The kill timer's handler: tells of the kill, and kills.
void OnGraceOver(Core& core, const ContainerRun& run);

// SIGKILL to all of it by its shim, also if its process is still being made.
// OK if there is nothing to kill.
void KillTask(Core& core, const ContainerRecord& container);

// Killed a while ago, `rounds` times half of shim_silence, and nobody has said
// how it ended. Asks the shim, which has the other half to answer; one that
// does not, or does not end it, is killed itself, so that its containers are
// lost rather than stuck.
void OnSilence(Core& core, const ContainerRun& run, int rounds);

// The exit monitor's handler: takes the container's lock and records.
void OnExit(Core& core, const ContainerRun& run,
            const StatusOr<shim::ExitStatus>& exit);

// Records that the process has ended: the exit, the end of its task, EXITED.
// `why` is a reason and a message for an exit that no code tells. It is
// recorded whatever else fails, on a full disk too (Ledger::Keep, FinishExit);
// an error says what of its state could not be cleaned up.
// With the container's lock held. `container` becomes what was saved.
struct EndReason {
  std::string reason;  // empty: from the exit code
  std::string message;
};
Status RecordExit(Core& core, ContainerRecord& container,
                  const shim::ExitStatus& exit, const EndReason& why = {});

// While an exit is not saved, the task stays at the shim, which tells it again
// to a daemon that comes after us. Deletes it, once the exit is saved, with
// what the container still holds. Takes the container's lock.
void FinishExit(Core& core, const ContainerId& id);
// The same before the container or its sandbox ends, or it starts anew: saved
// or not. With the container's lock held.
void DeleteLeftTask(Core& core, const ContainerRecord& container);

// Sends the signal, by default (0) the stop signal; thaws a frozen container
// first, and says so in the record, unsaved.
Status SendStopSignal(Core& core, ContainerRecord& container, int signal = 0);

// Frees what a container that does not run still holds below the state
// directory: its bundle, fifos, mounts. OK if there is nothing.
Status CleanState(Core& core, const ContainerRecord& container);

// Stops it: the signal (0: the stop signal, once), `grace`, SIGKILL; returns
// when the exit is recorded.
// `lock` is given back while it signals and waits; on failure it may not be
// held any more. Needs no room on the disk.
Status EndContainer(const Context& ctx, Core& core, const ContainerId& id,
                    KeyedMutex::Lock& lock, Duration grace, int signal = 0);

// Removes it with everything but its log; kills it first if it runs. With the
// container's lock held.
Status EraseContainer(const Context& ctx, Core& core, const ContainerId& id,
                      KeyedMutex::Lock& lock);

// The exit monitor's other handler: a shim is gone, or pid 1 of the sandbox,
// and the sandbox with it: NOTREADY from now on, unless `which` is not its shim
// any more. Takes the sandbox's lock.
void LoseSandbox(Core& core, const SandboxId& id,
                 const std::weak_ptr<shim::Shim>& which, const Loss& loss);

// A failpoint behind the point of no return: what has been done stays done, so
// an error there is told and no more.
void Passed(const char* failpoint);

// Log lines begin with the request's id and name objects in full.
void LogFailure(const std::string& doing, const Status& status);

}  // namespace berth::sandbox

#endif  // SANDBOX_CONTAINER_END_H_
