#include "shim/service/berth_service.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "api/shim/berth/v1/shim.pb.h"
#include "base/strings.h"

namespace berth::shim {
namespace {

constexpr char kName[] = "berth.shim.v1.Shim";

// Parses the request and finds its container, or answers why not.
template <typename Request, typename Body>
void WithContainer(const TaskTable& tasks, const TtrpcCall& call,
                   const Responder& reply, const Body& body) {
  Request request;
  if (!request.ParseFromString(call.payload)) {
    return reply.Fail(InvalidArgument(call.method + ": cannot parse"));
  }
  const StatusOr<std::shared_ptr<Container>> container =
      tasks.Find(request.id());
  if (!container.ok()) return reply.Fail(container.status());
  body(request, **container);
}

void SendOutcome(const StatusOr<ExecSyncOutcome>& outcome,
                 const Responder& reply) {
  if (!outcome.ok()) return reply.Fail(outcome.status());
  v1::ExecSyncResponse response;
  response.set_exit_status(outcome->exit.code);
  response.set_timed_out(outcome->timed_out);
  response.set_stdout_bytes(outcome->out_bytes);
  response.set_stderr_bytes(outcome->err_bytes);
  reply.Send(response);
}

}  // namespace

void BerthService::Register(TtrpcServer& server) {
  server.Add(kName, [this](const TtrpcCall& call, const Responder& reply) {
    Handle(call, reply);
  });
}

void BerthService::Handle(const TtrpcCall& call, const Responder& reply) {
  if (call.method == "Run") return service_.Run(call, reply);
  if (call.method == "Attach") return Attach(call, reply);
  if (call.method == "ReopenLog") return ReopenLog(call, reply);
  if (call.method == "ExecSync") return ExecSync(call, reply);
  if (call.method == "ForgetExecs") return ForgetExecs(call, reply);
  if (call.method == "EndExecSync") return EndExecSync(call, reply);
  if (call.method == "List") return List(reply);
  reply.Fail(Unimplemented("unknown method " + call.method));
}

void BerthService::Attach(const TtrpcCall& call, const Responder& reply) {
  WithContainer<v1::AttachRequest>(
      tasks_, call, reply,
      [&](const v1::AttachRequest& request, Container& container) {
        const StatusOr<Process*> process = container.Find(request.exec_id());
        if (!process.ok()) return reply.Fail(process.status());
        if ((*process)->stopped()) {
          return reply.Fail(FailedPrecondition("the process has exited"));
        }
        reply.Send((*process)->stdio().Attach(
            {request.stdin(), request.stdout(), request.stderr(), false}));
      });
}

void BerthService::ReopenLog(const TtrpcCall& call, const Responder& reply) {
  WithContainer<v1::ReopenLogRequest>(
      tasks_, call, reply,
      [&](const v1::ReopenLogRequest&, Container& container) {
        reply.Send(container.init().stdio().ReopenLog());
      });
}

void BerthService::ExecSync(const TtrpcCall& call, const Responder& reply) {
  WithContainer<v1::ExecSyncRequest>(
      tasks_, call, reply,
      [&](const v1::ExecSyncRequest& request, Container& container) {
        ExecSyncFiles how;
        how.files = {request.stdout_path(), request.stderr_path(),
                     request.output_limit()};
        how.timeout = Duration(std::max<int64_t>(request.timeout_nanos(), 0));
        const std::string key = request.key();
        if (sync_ends_.count(key) != 0) {
          return reply.Fail(AlreadyExists("an ExecSync with the key " + key));
        }
        std::function<void()> end = container.ExecSync(
            request.process(), how,
            [this, key, reply](const StatusOr<ExecSyncOutcome>& outcome) {
              sync_ends_.erase(key);
              SendOutcome(outcome, reply);
            });
        if (end != nullptr && !key.empty()) sync_ends_[key] = std::move(end);
      });
}

void BerthService::ForgetExecs(const TtrpcCall& call, const Responder& reply) {
  WithContainer<v1::ForgetExecsRequest>(
      tasks_, call, reply,
      [&](const v1::ForgetExecsRequest& request, Container& container) {
        container.ForgetExecs(request.keep());
        reply.Send(OkStatus());
      });
}

void BerthService::EndExecSync(const TtrpcCall& call, const Responder& reply) {
  WithContainer<v1::EndExecSyncRequest>(
      tasks_, call, reply,
      [&](const v1::EndExecSyncRequest& request, Container&) {
        const auto found = sync_ends_.find(request.key());
        if (found != sync_ends_.end()) found->second();
        reply.Send(OkStatus());
      });
}

void BerthService::List(const Responder& reply) {
  v1::ListResponse response;
  for (const auto& container : tasks_.All()) {
    for (const Process* process : container->Processes()) {
      v1::ListedProcess& listed = *response.add_processes();
      listed.set_id(container->id());
      listed.set_exec_id(process->exec_id());
      listed.set_pid(static_cast<uint32_t>(process->State().pid));
    }
  }
  reply.Send(response);
}

}  // namespace berth::shim
