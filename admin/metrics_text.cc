#include "admin/metrics_text.h"

#include <charconv>

namespace berth::admin {
namespace {

std::string Escaped(const std::string& value) {
  std::string escaped;
  for (const char c : value) {
    if (c == '\\' || c == '"') escaped += '\\';
    escaped += c == '\n' ? "\\n" : std::string(1, c);
  }
  return escaped;
}

}  // namespace

void MetricsText::Family(const std::string& name, const std::string& type,
                         const std::string& help) {
  family_ = name;
  text_ +=
      "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
}

void MetricsText::Sample(const Labels& labels, double value,
                         const std::string& suffix) {
  // The shortest text that reads as the same value, in no locale.
  char digits[64];
  const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  Line(labels, std::string(digits, end), suffix);
}

void MetricsText::Line(const Labels& labels, const std::string& value,
                       const std::string& suffix) {
  text_ += family_ + suffix;
  const char* separator = "{";
  for (const auto& [name, label] : labels) {
    text_ += separator + name + "=\"" + Escaped(label) + "\"";
    separator = ",";
  }
  text_ += (labels.empty() ? " " : "} ") + value + "\n";
}

}  // namespace berth::admin
