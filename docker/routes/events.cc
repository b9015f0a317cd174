// The event stream.
#include <string>
#include <utility>

#include "base/strings.h"
#include "docker/call.h"
#include "docker/convert/filters.h"
#include "docker/engine.h"

namespace berth::docker {
namespace {

bool Matches(const Filters& filters, const DockerEvent& event) {
  const auto attribute = [&](const std::string& name) {
    const auto found = event.attributes.find(name);
    return found == event.attributes.end() ? std::string() : found->second;
  };
  const std::string word = event.action.substr(0, event.action.find(':'));
  const auto object = [&](const std::string& type) {
    return filters.Any(type, [&](const std::string& wanted) {
      return event.type == type &&
             (wanted == event.id || wanted == attribute("name") ||
              StartsWith(event.id, wanted));
    });
  };
  return filters.Any("type", [&](auto& w) { return w == event.type; }) &&
         filters.Any("event",
                     [&](auto& w) { return w == word || w == event.action; }) &&
         filters.Any("scope", [](auto& w) { return w == "local"; }) &&
         filters.Any("image",
                     [&](auto& w) {
                       return w == event.id || w == attribute("image") ||
                              w == attribute("name");
                     }) &&
         object("container") && object("volume") && object("network") &&
         filters.MatchLabels(event.attributes);
}

constexpr const char* kSequence = "application/json-seq";

// How the stream is written: what the client accepts by name, or the version's
// own. (Before API 1.52 that was another name for JSON lines.)
std::string FormatOf(const Call& call) {
  for (const std::string& one :
       Split(call.http.request().Header("accept"), ',')) {
    const std::string type = Lower(Trim(one.substr(0, one.find(';'))));
    if (type == "application/jsonl" || type == "application/x-ndjson" ||
        type == kSequence) {
      return type;
    }
  }
  return call.version >= 52 ? "application/jsonl" : "application/json";
}

Status Send(Call& call, const std::string& format, const DockerEvent& event) {
  const std::string begin = format == kSequence ? "\x1e" : "";  // RFC 7464
  return call.http.Write(begin + DumpJson(event.ToJson(call.version < 52)) +
                         "\n");
}

Status Events(Engine& engine, Call& call) {
  // A key that nobody knows is no restriction, as with dockerd.
  ASSIGN_OR_RETURN(const Filters filters,
                   Filters::Parse(call.Query("filters")));
  ASSIGN_OR_RETURN(const UnixNanos since, call.Time("since"));
  ASSIGN_OR_RETURN(const UnixNanos until, call.Time("until"));
  uint64_t next = engine.events.Next();
  const std::string format = FormatOf(call);
  RETURN_IF_ERROR(call.http.BeginStream(200, format));
  if (since > 0) {
    for (const DockerEvent& event : engine.events.Kept()) {
      if (event.number >= next || event.time < since) continue;
      if (until > 0 && event.time > until) continue;
      if (Matches(filters, event)) RETURN_IF_ERROR(Send(call, format, event));
    }
  }
  const Context ctx = until > 0 ? call.ctx.WithTimeout(Duration(
                                      std::max<UnixNanos>(until - Now(), 0)))
                                : call.ctx;
  while (true) {
    const StatusOr<std::vector<DockerEvent>> events =
        engine.events.Read(ctx, next);
    if (events.status().code() == StatusCode::kDeadlineExceeded) {
      return OkStatus();
    }
    RETURN_IF_ERROR(events.status());
    for (const DockerEvent& event : *events) {
      next = event.number + 1;
      if (Matches(filters, event)) RETURN_IF_ERROR(Send(call, format, event));
    }
  }
}

}  // namespace

std::vector<Route> EventRoutes() { return {{"GET", "/events", Events}}; }

}  // namespace berth::docker
