#ifndef DOOR_GRPC_UNARY_CALL_H_
#define DOOR_GRPC_UNARY_CALL_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <string>
#include <utility>

#include "base/context.h"
#include "base/status.h"
#include "door/call_frame.h"
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
      : frame_(log, ContextOf(call), method, ObjectOf(request)),
        request_(request),
        response_(response),
        body_(std::move(body)) {}

  // `key`: see WorkerPool::Run.
  void RunOn(WorkerPool& pool, const std::string& key = "") {
    pool_ = &pool;
    const Status taken = pool.Run(this, key);
    if (!taken.ok()) Answer(taken);
  }
  // Instead of running it.
  void Answer(const Status& status) {
    frame_.Finish(status);
    Finish(ToGrpc(status));
  }

  void OnCancel() override {
    frame_.context().Cancel();
    if (pool_ != nullptr && pool_->Withdraw(this)) {
      Answer(frame_.context().Check());
    }
  }
  void OnDone() override { delete this; }

 private:
  void Work() override {
    Answer(frame_.Run([this] { return Try(); }));
  }

  Status Try() {
    ASSIGN_OR_RETURN(response_, body_(frame_.context(), request_));
    frame_.SetObject(ObjectOf(response_));
    return OkStatus();
  }

  CallFrame frame_;
  const Request& request_;
  Response& response_;
  const Body body_;
  WorkerPool* pool_ = nullptr;
};

}  // namespace berth::door

#endif  // DOOR_GRPC_UNARY_CALL_H_
