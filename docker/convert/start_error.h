// What Docker's clients make of a start that failed: they look for words.
#ifndef DOCKER_CONVERT_START_ERROR_H_
#define DOCKER_CONVERT_START_ERROR_H_

#include <string>

namespace berth::docker {

// The message with the kernel's words as the CLI looks for them: in lower
// case.
std::string StartErrorText(const std::string& message);

// 127 if the program was not found, 126 if it cannot be run, else 128.
int StartErrorCode(const std::string& message);

}  // namespace berth::docker

#endif  // DOCKER_CONVERT_START_ERROR_H_
