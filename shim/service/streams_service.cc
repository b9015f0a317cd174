#include "shim/service/streams_service.h"

#include <fcntl.h>

#include <utility>

#include "api/shim/berth/v1/shim.pb.h"
#include "api/shim/events/task.pb.h"
#include "api/shim/services/ttrpc/events/v1/events.pb.h"
#include "base/strings.h"
#include "base/unique_fd.h"
#include "shim/shim.h"

namespace berth::shim {
namespace {

namespace events = containerd::services::events::ttrpc::v1;

constexpr char kStreams[] = "berth.shim.v1.Streams";
constexpr char kEvents[] = "containerd.services.events.ttrpc.v1.Events";

// For readers that do not read: the process itself has ended.
constexpr Duration kDrain = std::chrono::seconds(5);

// Parses the request and goes on with it, or answers that it cannot.
template <typename Request, typename Body>
void With(const TtrpcCall& call, const Responder& reply, const Body& body) {
  Request request;
  if (!request.ParseFromString(call.payload)) {
    return reply.Fail(InvalidArgument(call.method + ": cannot parse"));
  }
  body(request);
}

}  // namespace

void StreamsService::Register(TtrpcServer& server) {
  server.Add(kStreams, [this](const TtrpcCall& call, const Responder& reply) {
    Handle(call, reply);
  });
  server.Add(kEvents, [this](const TtrpcCall& call, const Responder& reply) {
    Forward(call, reply);
  });
}

void StreamsService::Handle(const TtrpcCall& call, const Responder& reply) {
  if (call.method == "Open") return Open(call, reply);
  if (call.method == "Attach") return Attach(call, reply);
  if (call.method == "ReopenLog") return ReopenLog(call, reply);
  if (call.method == "CloseInput") return CloseInput(call, reply);
  if (call.method == "Close") return Close(call, reply);
  reply.Fail(Unimplemented("unknown method " + call.method));
}

StatusOr<std::shared_ptr<ProcessStdio>> StreamsService::Find(
    const std::string& id) const {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return NotFound("streams of container " + id);
  return found->second.stdio;
}

void StreamsService::Open(const TtrpcCall& call, const Responder& reply) {
  With<v1::OpenStreamsRequest>(
      call, reply, [&](const v1::OpenStreamsRequest& request) {
        const std::string& bundle = request.bundle();
        if (request.id().empty() || !StartsWith(bundle, "/")) {
          return reply.Fail(InvalidArgument("Open: no id, or no bundle"));
        }
        const auto stdio = std::make_shared<ProcessStdio>(loop_);
        const StatusOr<Stdio> fifos =
            stdio->OpenFifos({request.stdin(), request.stdout(),
                              request.stderr(), request.terminal()},
                             bundle);
        if (!fifos.ok()) return reply.Fail(fifos.status());
        const Status begun = stdio->Begin(UniqueFd());
        if (!begun.ok()) return reply.Fail(begun);
        Entry& entry = entries_[request.id()];
        if (entry.stdio != nullptr) entry.stdio->Close();
        entry = {bundle, stdio};
        v1::OpenStreamsResponse response;
        response.set_stdout(fifos->out);
        response.set_stderr(fifos->err);
        reply.Send(response);
      });
}

void StreamsService::Attach(const TtrpcCall& call, const Responder& reply) {
  With<v1::AttachRequest>(call, reply, [&](const v1::AttachRequest& request) {
    const auto stdio = Find(request.id());
    if (!stdio.ok()) return reply.Fail(stdio.status());
    if (!request.stdin().empty()) {
      return reply.Fail(Unimplemented("a second input of a container"));
    }
    reply.Send(
        (*stdio)->Attach({"", request.stdout(), request.stderr(), false}));
  });
}

void StreamsService::ReopenLog(const TtrpcCall& call, const Responder& reply) {
  With<v1::ReopenLogRequest>(call, reply,
                             [&](const v1::ReopenLogRequest& request) {
                               const auto stdio = Find(request.id());
                               if (!stdio.ok())
                                 return reply.Fail(stdio.status());
                               reply.Send((*stdio)->ReopenLog());
                             });
}

void StreamsService::CloseInput(const TtrpcCall& call, const Responder& reply) {
  With<v1::CloseStreamsRequest>(call, reply,
                                [&](const v1::CloseStreamsRequest& request) {
                                  const auto stdio = Find(request.id());
                                  if (!stdio.ok())
                                    return reply.Fail(stdio.status());
                                  (*stdio)->CloseStdin();
                                  reply.Send(OkStatus());
                                });
}

void StreamsService::Close(const TtrpcCall& call, const Responder& reply) {
  With<v1::CloseStreamsRequest>(
      call, reply, [&](const v1::CloseStreamsRequest& request) {
        const auto found = entries_.find(request.id());
        if (found == entries_.end()) return reply.Send(OkStatus());
        const std::shared_ptr<ProcessStdio> stdio = found->second.stdio;
        entries_.erase(found);
        // Also the end of a fifo that nobody has ever opened.
        stdio->ReadNow();
        stdio->WhenClosed(kDrain, [stdio, reply] {
          stdio->Close();
          reply.Send(OkStatus());
        });
      });
}

// All else that the other shim tells, berthd asks it for.
void StreamsService::Forward(const TtrpcCall& call, const Responder& reply) {
  With<events::ForwardRequest>(
      call, reply, [&](const events::ForwardRequest& request) {
        reply.Send(OkStatus());
        if (request.envelope().topic() != "/tasks/oom") return;
        containerd::events::TaskOOM oom;
        if (!oom.ParseFromString(request.envelope().event().value())) return;
        const auto found = entries_.find(oom.container_id());
        if (found == entries_.end()) return;
        const std::string mark = found->second.bundle + "/" + kOomMark;
        const UniqueFd made(open(
            mark.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
      });
}

}  // namespace berth::shim
