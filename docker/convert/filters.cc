#include "docker/convert/filters.h"

#include <algorithm>

#include "base/json.h"
#include "base/strings.h"

namespace berth::docker {
namespace {

bool HasLabel(const std::map<std::string, std::string>& labels,
              const std::string& wanted) {
  const size_t equals = wanted.find('=');
  const auto found = labels.find(wanted.substr(0, equals));
  if (found == labels.end()) return false;
  return equals == std::string::npos ||
         found->second == wanted.substr(equals + 1);
}

}  // namespace

StatusOr<Filters> Filters::Read(std::string_view json,
                                const std::set<std::string>* known) {
  Filters filters;
  if (Trim(json).empty()) return filters;
  ASSIGN_OR_RETURN(const Json parsed, ParseJson(json, "filters"));
  if (!parsed.is_object()) return InvalidArgument("invalid filter");
  for (const auto& [key, values] : parsed.members()) {
    if (known != nullptr && known->count(key) == 0) {
      return InvalidArgument("invalid filter '" + key + "'");
    }
    std::set<std::string>& all = filters.values_[key];
    if (!values.is_object() && !values.is_array()) {
      return InvalidArgument("invalid filter");
    }
    for (const auto& [value, on] : values.members()) {
      if (on.AsBool() != false) all.insert(value);
    }
    for (const Json& value : values.elements()) {
      if (!value.is_string()) return InvalidArgument("invalid filter");
      all.insert(*value.AsText());
    }
    if (all.empty()) filters.values_.erase(key);
  }
  return filters;
}

const std::set<std::string>& Filters::Of(const std::string& key) const {
  static const std::set<std::string>& none = *new std::set<std::string>();
  const auto found = values_.find(key);
  return found == values_.end() ? none : found->second;
}

bool Filters::Any(const std::string& key,
                  const std::function<bool(const std::string&)>& holds) const {
  const std::set<std::string>& values = Of(key);
  return values.empty() || std::any_of(values.begin(), values.end(), holds);
}

Status Filters::CheckFlag(const std::string& key) const {
  static const auto& good =
      *new std::set<std::string>{"0", "1", "false", "true"};
  for (const std::string& value : Of(key)) {
    if (good.count(Lower(value)) == 0) {
      return InvalidArgument("invalid filter '" + key + "=[" + value + "]'");
    }
  }
  return OkStatus();
}

bool Filters::MatchLabels(
    const std::map<std::string, std::string>& labels) const {
  for (const std::string& wanted : Of("label")) {
    if (!HasLabel(labels, wanted)) return false;
  }
  for (const std::string& unwanted : Of("label!")) {
    if (HasLabel(labels, unwanted)) return false;
  }
  return true;
}

}  // namespace berth::docker
