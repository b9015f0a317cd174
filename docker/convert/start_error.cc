#include "docker/convert/start_error.h"

namespace berth::docker {
namespace {

bool Contains(const std::string& text, const char* words) {
  return text.find(words) != std::string::npos;
}

}  // namespace

std::string StartErrorText(const std::string& message) {
  std::string text = message;
  for (const char* words : {"No such file or directory", "Permission denied",
                            "Is a directory", "Executable file not found"}) {
    for (size_t at = 0; (at = text.find(words, at)) != std::string::npos;) {
      text[at] = static_cast<char>(text[at] | 0x20);
    }
  }
  return text;
}

int StartErrorCode(const std::string& message) {
  const std::string text = StartErrorText(message);
  // A working directory that is missing is no missing program.
  if (Contains(text, "executable file not found") ||
      (Contains(text, "no such file or directory") && !Contains(text, "cwd"))) {
    return 127;
  }
  if (Contains(text, "permission denied") || Contains(text, "is a directory")) {
    return 126;
  }
  return 128;
}

}  // namespace berth::docker
