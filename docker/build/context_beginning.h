#ifndef DOCKER_BUILD_CONTEXT_BEGINNING_H_
#define DOCKER_BUILD_CONTEXT_BEGINNING_H_

#include <string>
#include <string_view>

namespace berth::docker {

// What to put before a context that begins with `bytes`. BuildKit reads a KiB
// to tell an archive from a Dockerfile, which is not enough where extended
// headers come first: so the first entry is a plain one, of the root. Nothing
// before a compressed archive, which it knows. Pure.
std::string ContextBeginning(std::string_view bytes);

}  // namespace berth::docker

#endif  // DOCKER_BUILD_CONTEXT_BEGINNING_H_
