#include "docker/call.h"

#include <cstdint>
#include <optional>

#include "base/rfc3339.h"
#include "base/strings.h"

namespace berth::docker {
namespace {

constexpr size_t kMaxJsonBody = 8 << 20;

}  // namespace

bool Call::Flag(const std::string& query) const {
  const std::string value = Lower(Trim(http.request().Query(query)));
  return !value.empty() && value != "0" && value != "no" && value != "false" &&
         value != "none";
}

std::string Call::Query(const std::string& query) const {
  return http.request().Query(query);
}

StatusOr<int64_t> Call::Number(const std::string& query,
                               int64_t otherwise) const {
  const std::string text = http.request().Query(query);
  if (text.empty()) return otherwise;
  const std::optional<int64_t> number = ParseInt(text);
  if (!number.has_value()) {
    return InvalidArgument("query parameter " + query + ": " + Quoted(text) +
                           " is no number");
  }
  return *number;
}

StatusOr<UnixNanos> Call::Time(const std::string& query) const {
  constexpr int64_t kNanos = 1000000000;
  const std::string text = Query(query);
  if (text.empty()) return 0;
  if (const auto time = ParseRfc3339(text)) return *time;
  const size_t dot = text.find('.');
  std::string fraction = dot == std::string::npos ? "" : text.substr(dot + 1);
  fraction.resize(9, '0');
  const std::optional<int64_t> seconds = ParseInt(text.substr(0, dot));
  const std::optional<uint64_t> nanos = ParseUint(fraction);
  if (!seconds.has_value() || !nanos.has_value() ||
      *seconds > INT64_MAX / kNanos - 1 || *seconds < INT64_MIN / kNanos + 1) {
    return InvalidArgument("invalid value for " + query + ": " + text);
  }
  return *seconds * kNanos + static_cast<int64_t>(*nanos);
}

Status Call::Refuse(std::initializer_list<const char*> queries) const {
  for (const char* query : queries) {
    if (!Flag(query)) continue;
    return Unimplemented("query parameter " + std::string(query) +
                         " is not supported");
  }
  return OkStatus();
}

StatusOr<Json> Call::Body() const {
  ASSIGN_OR_RETURN(const std::string body, http.ReadBody(kMaxJsonBody));
  if (Trim(body).empty()) return Json::object();
  const std::string type = http.request().Header("content-type");
  if (!StartsWith(type, "application/json")) {
    return InvalidArgument("unsupported Content-Type header (" + type +
                           "): must be 'application/json'");
  }
  ASSIGN_OR_RETURN(Json json, ParseJson(body, "request body"));
  // What a client of Go sends that has no object.
  if (json.is_null()) return Json::object();
  if (!json.is_object()) {
    return InvalidArgument("request body: not an object");
  }
  return json;
}

Status Call::Reply(int status, const Json& json) const {
  return http.Respond(status, "application/json", DumpJson(json) + "\n");
}

Status Call::Reply(int status) const { return http.Respond(status, "", ""); }

}  // namespace berth::docker
