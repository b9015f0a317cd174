#include "door/stream/protocols.h"

#include <algorithm>

#include "base/strings.h"

namespace berth::door {
namespace {

constexpr char kSpdyHeader[] = "X-Stream-Protocol-Version";
constexpr char kAcceptedHeader[] = "X-Accepted-Stream-Protocol-Versions";
constexpr char kWebsocketHeader[] = "Sec-WebSocket-Protocol";

std::vector<std::string> Values(const ServerRequest& request,
                                std::string_view header) {
  std::vector<std::string> values;
  for (const auto& [name, text] : request.headers) {
    if (name != Lower(header)) continue;
    for (const std::string& value : Split(text, ',')) {
      if (!Trim(value).empty()) values.emplace_back(Trim(value));
    }
  }
  return values;
}

bool IsOneOf(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

StatusOr<std::string> Choose(const std::vector<std::string>& theirs,
                             const std::vector<std::string>& ours,
                             const std::string& header) {
  if (theirs.empty()) {
    if (IsOneOf(ours, "")) return std::string();
    return InvalidArgument("unable to upgrade: header " + header +
                           " is missing");
  }
  for (const std::string& name : theirs) {
    if (IsOneOf(ours, name)) return name;
  }
  return Error(StatusCode::kPermissionDenied,
               "unable to upgrade: the client speaks " +
                   Quoted(Join(theirs, ", ")) + ", and this server " +
                   Join(ours, ", "));
}

}  // namespace

StatusOr<StreamUpgrade> UpgradeOf(const ServerRequest& request) {
  const std::string upgrade = Lower(request.Header("upgrade"));
  const bool asked =
      Lower(request.Header("connection")).find("upgrade") != std::string::npos;
  if (asked && upgrade == "spdy/3.1") return StreamUpgrade::kSpdy;
  if (asked && upgrade == "websocket") return StreamUpgrade::kWebsocket;
  return InvalidArgument(
      "unable to upgrade: the request asks for neither SPDY/3.1 nor a "
      "WebSocket");
}

StatusOr<std::string> ChooseSpdyProtocol(HttpExchange& http,
                                         const std::vector<std::string>& ours) {
  StatusOr<std::string> chosen =
      Choose(Values(http.request(), kSpdyHeader), ours, kSpdyHeader);
  if (chosen.ok()) {
    http.AddHeader(kSpdyHeader, *chosen);
  } else if (chosen.status().code() == StatusCode::kPermissionDenied) {
    for (const std::string& name : ours) http.AddHeader(kAcceptedHeader, name);
  }
  return chosen;
}

StatusOr<std::string> ChooseWebsocketProtocol(
    const ServerRequest& request, const std::vector<std::string>& ours) {
  return Choose(Values(request, kWebsocketHeader), ours, kWebsocketHeader);
}

}  // namespace berth::door
