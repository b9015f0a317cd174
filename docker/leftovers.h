#ifndef DOCKER_LEFTOVERS_H_
#define DOCKER_LEFTOVERS_H_

#include "base/context.h"
#include "docker/engine.h"

namespace berth::docker {

// What a daemon that was killed left of this door's: sandboxes whose container
// was not made yet or is gone, logs of removed containers, volumes without a
// record. Called before the door opens; the sandboxes go behind it.
void RemoveLeftovers(Engine& engine, const Context& ctx);

}  // namespace berth::docker

#endif  // DOCKER_LEFTOVERS_H_
