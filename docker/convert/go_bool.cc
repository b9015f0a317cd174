#include "docker/convert/go_bool.h"

#include <map>

namespace berth::docker {

std::optional<bool> ParseGoBool(const std::string& text) {
  static const auto& words = *new std::map<std::string, bool>{
      {"1", true},    {"t", true},      {"T", true},      {"true", true},
      {"TRUE", true}, {"True", true},   {"0", false},     {"f", false},
      {"F", false},   {"false", false}, {"FALSE", false}, {"False", false}};
  const auto found = words.find(text);
  if (found == words.end()) return std::nullopt;
  return found->second;
}

}  // namespace berth::docker
