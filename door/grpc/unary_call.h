#ifndef DOOR_GRPC_UNARY_CALL_H_
#define DOOR_GRPC_UNARY_CALL_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <string>
#include <utility>

#include "base/contain.h"
#include "base/context.h"
#include "base/status.h"
#include "door/grpc/call_context.h"
#include "door/grpc/grpc_status.h"
#include "door/request_log.h"
#include "door/worker_pool.h"

namespace berth::door {

// A request with one answer. Owns itself: gRPC calls OnDone last.
//
//   OnCancel (client gone)          -> the context is cancelled
//   worker: body -> Finish -> OnDone -> deleted
//
// An exception that leaves the body is this request's error. A request whose
// client has gone while it waited for a worker is answered at once.
// Thread-safe: gRPC cancels it while a worker runs it.
template <typename Request, typename Response>
class UnaryCall final : public grpc::ServerUnaryReactor,
                        private WorkerPool::Job {
 public:
  using Body =
      std::function<StatusOr<Response>(const Context&, const Request&)>;

  UnaryCall(const grpc::CallbackServerContext& call, const char* method,
            const Request& request, Response& response, RequestLog& log,
            Body body)
      : context_(ContextOf(call)),
        request_(request),
        response_(response),
        record_(log, method, context_.request_id(), ObjectOf(request)),
        body_(std::move(body)) {}

  // `key`: see WorkerPool::Run.
  void RunOn(WorkerPool& pool, const std::string& key = "") {
    pool_ = &pool;
    const Status taken = pool.Run(this, key);
    if (!taken.ok()) Answer(taken);
  }
  // Instead of running it.
  void Answer(const Status& status) {
    record_.Finish(status);
    Finish(ToGrpc(status));
  }

  void OnCancel() override {
    context_.Cancel();
    if (pool_ != nullptr && pool_->Withdraw(this)) Answer(context_.Check());
  }
  void OnDone() override { delete this; }

 private:
  void Work() override {
    Answer(Contain([this] { return Try(); }));
  }

  Status Try() {
    RETURN_IF_ERROR(context_.Check());
    ASSIGN_OR_RETURN(response_, body_(context_, request_));
    record_.SetObject(ObjectOf(response_));
    return OkStatus();
  }

  const Context context_;
  const Request& request_;
  Response& response_;
  RequestRecord record_;
  const Body body_;
  WorkerPool* pool_ = nullptr;
};

}  // namespace berth::door

#endif  // DOOR_GRPC_UNARY_CALL_H_
