// Which phase may follow which.
//
//   sandbox    CREATED --> STARTING --> READY --> STOPPING --> STOPPED
//                 |            |          |                     |   ^
//                 |            +----------|---(failed)----------|---+
//                 |                       |                     |
//                 +--------- REMOVING <---+---------------------+
//                            STOPPED --> STARTING   (STANDALONE only)
//
//   container  CREATING --> CREATED --> STARTING --> RUNNING --> STOPPING
//                  |           |           |           |  ^         |
//                  |           |           v           v  |(cannot) v
//                  |           |         EXITED <------+--+-------- +
//                  |           |           |  |
//                  +-- REMOVING <----------+  +--> STARTING (STANDALONE only)
//
// STARTING, STOPPING, REMOVING and CREATING are intents: a process that finds
// one in a record at its start finishes or undoes it (recovery.h).
#ifndef SANDBOX_RECORD_PHASE_H_
#define SANDBOX_RECORD_PHASE_H_

#include "api/state/v1/state.pb.h"

namespace berth::sandbox {

constexpr bool IsLegal(state::v1::SandboxKind kind,
                       state::v1::SandboxPhase from,
                       state::v1::SandboxPhase to) {
  using namespace ::berth::state::v1;
  const bool restarts = kind == SANDBOX_KIND_STANDALONE;
  switch (to) {
    case SANDBOX_PHASE_CREATED:
      return from == SANDBOX_PHASE_UNSPECIFIED;
    case SANDBOX_PHASE_STARTING:
      return from == SANDBOX_PHASE_CREATED ||
             (restarts && from == SANDBOX_PHASE_STOPPED);
    case SANDBOX_PHASE_READY:
      return from == SANDBOX_PHASE_STARTING;
    case SANDBOX_PHASE_STOPPING:
      return from == SANDBOX_PHASE_READY || from == SANDBOX_PHASE_STARTING ||
             from == SANDBOX_PHASE_STOPPING;
    case SANDBOX_PHASE_STOPPED:
      return from == SANDBOX_PHASE_STOPPING || from == SANDBOX_PHASE_STARTING ||
             from == SANDBOX_PHASE_CREATED;
    case SANDBOX_PHASE_REMOVING:
      return from != SANDBOX_PHASE_UNSPECIFIED &&
             from != SANDBOX_PHASE_STARTING;
    default:
      return false;
  }
}

// A process of it may be there.
constexpr bool IsAlive(state::v1::ContainerPhase phase) {
  using namespace ::berth::state::v1;
  return phase == CONTAINER_PHASE_STARTING ||
         phase == CONTAINER_PHASE_RUNNING || phase == CONTAINER_PHASE_STOPPING;
}

constexpr bool IsLegal(state::v1::SandboxKind kind,
                       state::v1::ContainerPhase from,
                       state::v1::ContainerPhase to) {
  using namespace ::berth::state::v1;
  const bool restarts = kind == SANDBOX_KIND_STANDALONE;
  switch (to) {
    case CONTAINER_PHASE_CREATING:
      return from == CONTAINER_PHASE_UNSPECIFIED;
    case CONTAINER_PHASE_CREATED:
      return from == CONTAINER_PHASE_CREATING;
    case CONTAINER_PHASE_STARTING:
      return from == CONTAINER_PHASE_CREATED ||
             (restarts && from == CONTAINER_PHASE_EXITED);
    case CONTAINER_PHASE_RUNNING:
      return from == CONTAINER_PHASE_STARTING;
    case CONTAINER_PHASE_STOPPING:
      return from == CONTAINER_PHASE_RUNNING ||
             from == CONTAINER_PHASE_STOPPING;
    case CONTAINER_PHASE_EXITED:
      return IsAlive(from) || from == CONTAINER_PHASE_CREATED;
    case CONTAINER_PHASE_REMOVING:
      return from != CONTAINER_PHASE_UNSPECIFIED && !IsAlive(from);
    default:
      return false;
  }
}

}  // namespace berth::sandbox

#endif  // SANDBOX_RECORD_PHASE_H_
