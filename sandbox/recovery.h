// What a daemon does when it comes back, in two parts. The first, before any
// door opens, finds out what is the case and takes no longer than a second,
// however many pods are dead, or shims stuck. The second, behind the open
// doors, finishes what was begun: each object for itself, again and again
// until it is done.
//
//   record           machine was       first             second part
//   sandbox
//     CREATED        -                 -                 a pod: forgotten
//     STARTING       -                 STOPPING          released; a pod:
//                                                        forgotten
//     READY          booted since      STOPPING          released: STOPPED
//     READY          not               each resource recovered; if one cannot
//                                      be: STOPPING, its containers lost, then
//                                      the same
//     STOPPING       -                 -                 stopped
//     REMOVING       -                 -                 removed
//   container
//     CREATING       -                 -                 removed
//     STARTING..     task created      deleted: EXITED 128
//     STARTING..     task running      RUNNING, watched (STOPPING: until its
//                                      grace ends)
//     STARTING..     task stopped      EXITED with its code
//     STARTING..     task unknown      EXITED 128 if it was STARTING, else the
//                                      recorded code or 255
//     REMOVING       -                 -                 removed
//     alive          execs left        -                 forgotten
//
// A shim that is silent has ten seconds. The doors do not wait for it: its
// sandbox and containers are shown as they were, and whoever wants to change
// them waits for their locks, which recovery holds meanwhile.
//
// The second part takes an object's lock for one try at a time: a client's
// verb comes between two tries, or waits for one with its own context.
//
// At last what no record names is swept: directories, namespaces and shims of
// sandboxes, directories and cgroups of containers, addresses.
#ifndef SANDBOX_RECOVERY_H_
#define SANDBOX_RECOVERY_H_

#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"
#include "sandbox/core.h"
#include "sandbox/ids.h"
#include "sandbox/recovery/recovery_queue.h"

namespace berth::sandbox {

// Thread-compatible. The core must outlive it.
class Recovery {
 public:
  explicit Recovery(Core& core);
  ~Recovery();  // as Stop

  // The first part. Fails if the records cannot be read; FAILED_PRECONDITION,
  // and nothing is touched, if the state directory belongs to another root:
  // shims live there, and no record knows one of them.
  Status Begin(const Context& ctx);
  // Starts the second part and returns. What fails is logged and tried again.
  void Finish();
  // Until nothing is left to do; what the context says, if that ends before.
  Status AwaitDone(const Context& ctx);
  // Leaves the rest to the next daemon.
  void Stop();

 private:
  void Adopt(const std::string& sandbox_id, SteadyTime patience);
  Status FinishAll(const Context& ctx);

  Core& core_;
  // All that there was at the start; what clients make later is theirs.
  std::vector<SandboxId> sandboxes_;
  std::vector<ContainerId> containers_;
  std::set<std::string> unfinished_;  // pods to be forgotten
  // Last, so that their threads end before what they use.
  RecoveryQueue adoptions_;
  RecoveryQueue rest_;
};

}  // namespace berth::sandbox

#endif  // SANDBOX_RECOVERY_H_
