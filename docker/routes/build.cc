// docker build, by BuildKit's protocol and by the one before it.
#include <unistd.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/base64.h"
#include "base/clock.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "docker/build/builds.h"
#include "docker/build/classic_lines.h"
#include "docker/build/context_beginning.h"
#include "docker/build/order.h"
#include "docker/build/prune_order.h"
#include "docker/call.h"
#include "docker/engine.h"
#include "door/http/upgrade.h"

namespace berth::docker {
namespace {

constexpr size_t kPiece = 256 << 10;

// The answer to POST /build. It begins with its first line: what fails before
// that has a status of its own. Used by one thread at a time.
class Report {
 public:
  Report(Call& call, const BuildOrder& order) : call_(call), order_(order) {}

  Status Follow(const bk::StatusResponse& news) {
    if (order_.traced) {
      return Say({{"id", "moby.buildkit.trace"},
                  {"aux", Base64Encode(news.SerializeAsString())}});
    }
    for (const Json& line : lines_.Follow(news)) {
      if (order_.quiet) {
        held_back_.push_back(line);
      } else {
        RETURN_IF_ERROR(Say(line));
      }
    }
    return OkStatus();
  }

  Status End(const std::optional<image::Image>& image) {
    if (!image.has_value()) return Begin();
    if (order_.traced) {
      return Say({{"id", "moby.image.id"}, {"aux", {{"ID", image->id()}}}});
    }
    if (order_.quiet) return Say({{"stream", image->id() + "\n"}});
    for (const Json& line : ClassicLines::End(image->id(), order_.tags)) {
      RETURN_IF_ERROR(Say(line));
    }
    return OkStatus();
  }

  Status Fail(const Status& status) {
    if (!call_.http.answered() && held_back_.empty()) return status;
    for (const Json& line : held_back_) RETURN_IF_ERROR(Say(line));
    return Say(ClassicLines::Failure(status));
  }

 private:
  Status Begin() {
    if (call_.http.answered()) return OkStatus();
    return call_.http.BeginStream(200, "application/json");
  }
  Status Say(const Json& line) {
    RETURN_IF_ERROR(Begin());
    return call_.http.Write(DumpJson(line) + "\r\n");
  }

  Call& call_;
  const BuildOrder& order_;
  ClassicLines lines_;
  std::vector<Json> held_back_;  // of a quiet build
};

StatusOr<UniqueFd> SpoolBody(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(UniqueFd file, engine.builds->MakeSpool());
  ASSIGN_OR_RETURN(std::string piece, call.http.ReadSome(kPiece));
  RETURN_IF_ERROR(WriteAll(file.get(), ContextBeginning(piece)));
  while (!piece.empty()) {
    RETURN_IF_ERROR(call.ctx.Check());
    RETURN_IF_ERROR(WriteAll(file.get(), piece));
    ASSIGN_OR_RETURN(piece, call.http.ReadSome(kPiece));
  }
  return file;
}

// What a Dockerfile or its build did wrong is the client's.
Status AsClientError(const Status& status) {
  return status.code() == StatusCode::kUnknown
             ? InvalidArgument(Message(status))
             : status;
}

Status Build(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(BuildOrder order,
                   ReadBuildOrder(call.http.request().query, "127.0.0.1"));
  Builds::Order work;
  if (order.has_body) {
    ASSIGN_OR_RETURN(work.context, SpoolBody(engine, call));
  }
  work.request = order.request;
  work.id = order.id;
  Report report(call, order);
  const StatusOr<std::optional<image::Image>> image = engine.builds->Build(
      call.ctx, std::move(work),
      [&](const bk::StatusResponse& news) { return report.Follow(news); });
  if (!image.ok()) return report.Fail(AsClientError(image.status()));
  return report.End(*image);
}

Status Cancel(Engine& engine, Call& call) {
  if (call.Query("id").empty()) return InvalidArgument("build ID not provided");
  engine.builds->Cancel(call.Query("id"));
  return call.Reply(200);
}

Status CheckUpgrade(const Call& call) {
  const std::string protocol = call.http.request().Header("upgrade");
  if (protocol == "h2c") return OkStatus();
  return InvalidArgument(protocol.empty()
                             ? "no upgrade proto in request"
                             : "protocol " + protocol + " not supported");
}

Status Calls(Engine& engine, Call& call) {
  RETURN_IF_ERROR(CheckUpgrade(call));
  ASSIGN_OR_RETURN(door::UpgradedConnection client, call.http.Upgrade(""));
  return engine.builds->ServeCalls(call.ctx, client);
}

Status Session(Engine& engine, Call& call) {
  RETURN_IF_ERROR(CheckUpgrade(call));
  std::multimap<std::string, std::string> headers;
  for (const auto& [name, value] : call.http.request().headers) {
    if (StartsWith(name, "x-docker-expose-session-")) {
      headers.emplace(name, value);
    }
  }
  ASSIGN_OR_RETURN(door::UpgradedConnection client, call.http.Upgrade(""));
  return engine.builds->ServeSession(call.ctx, headers, client);
}

StatusOr<bk::PruneRequest> ReadPrune(const Call& call) {
  ASSIGN_OR_RETURN(bk::PruneRequest request,
                   ReadPruneOrder(call.Query("filters"), Now()));
  request.set_all(call.Flag("all"));
  ASSIGN_OR_RETURN(const int64_t keep, call.Number("keep-storage", 0));
  ASSIGN_OR_RETURN(const int64_t reserved, call.Number("reserved-space", keep));
  ASSIGN_OR_RETURN(const int64_t most, call.Number("max-used-space", 0));
  ASSIGN_OR_RETURN(const int64_t free, call.Number("min-free-space", 0));
  request.set_reservedspace(reserved);
  request.set_maxusedspace(most);
  request.set_minfreespace(free);
  return request;
}

Status Prune(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const bk::PruneRequest request, ReadPrune(call));
  ASSIGN_OR_RETURN(const std::vector<bk::UsageRecord> removed,
                   engine.builds->Prune(call.ctx, request));
  Json ids = Json::array();
  int64_t bytes = 0;
  for (const bk::UsageRecord& record : removed) {
    if (!record.id().empty()) ids.push_back(record.id());
    bytes += record.size();
  }
  engine.events.Publish("builder", "prune", "",
                        {{"reclaimed", std::to_string(bytes)}});
  return call.Reply(200,
                    {{"CachesDeleted", ids.empty() ? Json() : std::move(ids)},
                     {"SpaceReclaimed", bytes}});
}

}  // namespace

std::vector<Route> BuildRoutes() {
  return {{"POST", "/build", Build},
          {"POST", "/build/cancel", Cancel},
          {"POST", "/build/prune", Prune},
          {"POST", "/grpc", Calls},
          {"POST", "/session", Session}};
}

}  // namespace berth::docker
