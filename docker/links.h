// Links of the default network (docker run --link), where containers know no
// names of each other: the container gets lines of /etc/hosts and variables
// that tell of another one. Functions of the engine, as thread-safe as it is.
#ifndef DOCKER_LINKS_H_
#define DOCKER_LINKS_H_

#include <string>
#include <vector>

#include "base/context.h"
#include "base/status.h"
#include "docker/convert/create_request.h"
#include "docker/engine.h"

namespace berth::docker {

// The containers that a create request links to, by their ids.
// INVALID_ARGUMENT for one that does not exist or is in the host's network.
Status FindLinked(const Engine& engine, CreateRequest& request);

// Before a start: writes the lines of the hosts file, and gives the variables.
// FAILED_PRECONDITION if one of the others does not run.
StatusOr<std::vector<std::string>> SetLinks(Engine& engine, const Context& ctx,
                                            const View& view);

// After a start: those that link to it learn of its address. Failures are
// logged.
void TellLinking(Engine& engine, const Context& ctx, const std::string& id);

}  // namespace berth::docker

#endif  // DOCKER_LINKS_H_
