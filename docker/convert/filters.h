#ifndef DOCKER_CONVERT_FILTERS_H_
#define DOCKER_CONVERT_FILTERS_H_

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "base/status.h"

namespace berth::docker {

// The `filters` of a query: values by key. The values of a key are
// alternatives, except labels, which must all hold; keys must all hold.
// Thread-compatible.
class Filters {
 public:
  // {"key":{"value":true}} as the CLI sends it, or {"key":["value"]} as others
  // do. INVALID_ARGUMENT for a key that is not `known`. "" is no filter.
  static StatusOr<Filters> Parse(std::string_view json,
                                 const std::set<std::string>& known) {
    return Read(json, &known);
  }
  // The same with any key.
  static StatusOr<Filters> Parse(std::string_view json) {
    return Read(json, nullptr);
  }

  bool Has(const std::string& key) const { return values_.count(key) > 0; }
  const std::set<std::string>& Of(const std::string& key) const;
  // True if there is no such key, or `holds` for one of its values.
  bool Any(const std::string& key,
           const std::function<bool(const std::string&)>& holds) const;
  // INVALID_ARGUMENT unless its values are all of true, false, 1 and 0.
  Status CheckFlag(const std::string& key) const;
  // "label" and "label!": NAME or NAME=VALUE.
  bool MatchLabels(const std::map<std::string, std::string>& labels) const;

 private:
  // Any key is known without `known`.
  static StatusOr<Filters> Read(std::string_view json,
                                const std::set<std::string>* known);

  std::map<std::string, std::set<std::string>> values_;
};

}  // namespace berth::docker

#endif  // DOCKER_CONVERT_FILTERS_H_
