#ifndef DOCKER_CONVERT_PATTERNS_H_
#define DOCKER_CONVERT_PATTERNS_H_

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"

namespace re2 {
class RE2;
}  // namespace re2

namespace berth::docker {

// The values of a filter that are patterns. Clients choose them, so a match
// takes time that grows with the text alone, and little memory. Thread-safe.
class Patterns {
 public:
  // Regular expressions in Go's syntax that match anywhere in a text. An
  // invalid or too large one matches only its own text.
  static Patterns Expressions(const std::set<std::string>& values);
  // Patterns of whole names, of Go's path.Match: "*", "?", "[a-z]"; none of
  // them matches a slash. INVALID_ARGUMENT for an invalid one.
  static StatusOr<Patterns> Globs(const std::set<std::string>& values);

  Patterns(Patterns&&) noexcept;
  Patterns& operator=(Patterns&&) noexcept;
  ~Patterns();

  // One of them matches; always if there are none.
  bool Match(const std::string& text) const;

 private:
  Patterns();

  std::set<std::string> values_;
  std::vector<std::unique_ptr<re2::RE2>> compiled_;
};

}  // namespace berth::docker

#endif  // DOCKER_CONVERT_PATTERNS_H_
