#include "docker/convert/patterns.h"

#include <re2/re2.h>

#include <algorithm>
#include <cstdint>

namespace berth::docker {
namespace {

using re2::RE2;

// Of one pattern, compiled.
constexpr int64_t kMaxMemory = 1 << 20;

std::unique_ptr<RE2> Compile(const std::string& expression) {
  RE2::Options options;
  options.set_max_mem(kMaxMemory);
  options.set_log_errors(false);
  return std::make_unique<RE2>(expression, options);
}

// Moves `at` behind the class "[...]" that begins there; it is written the
// same in both languages, but for a bracket in it.
std::string ClassToExpression(const std::string& glob, size_t& at) {
  std::string expression = "[";
  for (++at; at < glob.size() && glob[at] != ']'; ++at) {
    if (glob[at] == '\\' && at + 1 < glob.size()) expression += glob[at++];
    if (glob[at] == '[') expression += '\\';
    expression += glob[at];
  }
  return at < glob.size() ? expression + "]" : expression;
}

std::string GlobToExpression(const std::string& glob) {
  std::string expression = "^";
  for (size_t at = 0; at < glob.size(); ++at) {
    switch (glob[at]) {
      case '*':
        expression += "[^/]*";
        break;
      case '?':
        expression += "[^/]";
        break;
      case '[':
        expression += ClassToExpression(glob, at);
        break;
      case '\\':
        if (++at == glob.size()) return expression + "\\";  // an error
        [[fallthrough]];
      default:
        expression += RE2::QuoteMeta(glob.substr(at, 1));
    }
  }
  return expression + "$";
}

}  // namespace

Patterns::Patterns() = default;
Patterns::Patterns(Patterns&&) noexcept = default;
Patterns& Patterns::operator=(Patterns&&) noexcept = default;
Patterns::~Patterns() = default;

Patterns Patterns::Expressions(const std::set<std::string>& values) {
  Patterns patterns;
  patterns.values_ = values;
  for (const std::string& value : values) {
    auto expression = Compile(value);
    if (expression->ok()) patterns.compiled_.push_back(std::move(expression));
  }
  return patterns;
}

StatusOr<Patterns> Patterns::Globs(const std::set<std::string>& values) {
  Patterns patterns;
  patterns.values_ = values;
  for (const std::string& value : values) {
    auto expression = Compile(GlobToExpression(value));
    if (!expression->ok()) return InvalidArgument("syntax error in pattern");
    patterns.compiled_.push_back(std::move(expression));
  }
  return patterns;
}

bool Patterns::Match(const std::string& text) const {
  return values_.empty() || values_.count(text) > 0 ||
         std::any_of(compiled_.begin(), compiled_.end(),
                     [&](const auto& compiled) {
                       return RE2::PartialMatch(text, *compiled);
                     });
}

}  // namespace berth::docker
