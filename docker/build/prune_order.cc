#include "docker/build/prune_order.h"

#include <algorithm>
#include <optional>
#include <set>
#include <vector>

#include "base/strings.h"
#include "docker/convert/filters.h"
#include "docker/convert/go_time.h"

namespace berth::docker {
namespace {

using moby::buildkit::v1::PruneRequest;

Status CheckSingle(const Filters& filters, const std::set<std::string>& keys) {
  for (const std::string& key : keys) {
    if (filters.Of(key).size() > 1 && !StartsWith(key, "label")) {
      return InvalidArgument("filter " + key + " expects only one value");
    }
  }
  return OkStatus();
}

// The filter's value; empty if the request does not have the filter.
std::string ValueOf(const Filters& filters, const std::string& key) {
  return filters.Has(key) ? *filters.Of(key).begin() : std::string();
}

// How long a record must have been unused.
StatusOr<int64_t> KeepDuration(const Filters& filters, UnixNanos now) {
  const std::string until = ValueOf(filters, "until");
  const std::string unused = ValueOf(filters, "unused-for");
  if (!until.empty() && !unused.empty()) {
    return InvalidArgument("conflicting filters: \"until\" and \"unused-for\"");
  }
  if (until.empty() && unused.empty()) return 0;
  const std::string& text = until.empty() ? unused : until;
  const std::optional<UnixNanos> moment = ParseMoment(text, now);
  if (!moment) {
    return InvalidArgument("invalid filter '" +
                           std::string(until.empty() ? "unused-for" : "until") +
                           "=" + text + "'");
  }
  return std::max<int64_t>(now - *moment, 0);
}

// BuildKit knows whether a record has such a field, and no value of it: what
// cannot be said matches nothing, as with dockerd.
std::string FlagFilter(const std::string& key, const std::string& value) {
  if (value == "true" || value == "1") return key;
  if (value == "false" || value == "0") {
    if (key == "shared") return "private";
    if (key == "private") return "shared";
  }
  return key + "==" + Quoted(value);
}

}  // namespace

StatusOr<PruneRequest> ReadPruneOrder(const std::string& filters,
                                      UnixNanos now) {
  static const auto& known = *new std::set<std::string>{
      "id",     "until",   "parent", "type",   "description", "inuse",
      "shared", "private", "label",  "label!", "unused-for"};
  ASSIGN_OR_RETURN(const Filters parsed, Filters::Parse(filters, known));
  RETURN_IF_ERROR(CheckSingle(parsed, known));
  PruneRequest request;
  ASSIGN_OR_RETURN(const int64_t keep, KeepDuration(parsed, now));
  request.set_keepduration(keep);
  std::vector<std::string> all;
  for (const std::string key : {"id", "parent", "type", "description"}) {
    // An id may be shortened.
    const char* compare = key == "id" ? "~=" : "==";
    if (!parsed.Has(key)) continue;
    all.push_back(key + compare + Quoted(ValueOf(parsed, key)));
  }
  for (const std::string key : {"inuse", "shared", "private"}) {
    if (!parsed.Has(key)) continue;
    all.push_back(FlagFilter(key, ValueOf(parsed, key)));
  }
  // Several are alternatives to BuildKit; the parts of one must all hold.
  if (!all.empty()) request.add_filter(Join(all, ","));
  return request;
}

bool PrunesAll(const moby::buildkit::v1::PruneRequest& request) {
  return request.all() && request.filter().empty() &&
         request.keepduration() == 0 && request.reservedspace() == 0 &&
         request.maxusedspace() == 0 && request.minfreespace() == 0;
}

}  // namespace berth::docker
