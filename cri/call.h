// One request on its way through the door: from gRPC's callback to a worker
// thread, the context that it carries, and the line in the log at its end.
#ifndef CRI_CALL_H_
#define CRI_CALL_H_

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <string>
#include <utility>

#include "base/context.h"
#include "base/mutex.h"
#include "base/status.h"
#include "cri/grpc_status.h"
#include "cri/request_log.h"
#include "cri/worker_pool.h"

namespace berth::cri {

// With the client's deadline; cancelled by Context::Cancel.
Context ContextOf(const grpc::CallbackServerContext& call);

// A request with one answer. Owns itself: gRPC calls OnDone last.
//
//   OnCancel (client gone)          -> the context is cancelled
//   worker: body -> Finish -> OnDone -> deleted
template <typename Request, typename Response>
class UnaryCall final : public grpc::ServerUnaryReactor {
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

  void RunOn(WorkerPool& pool) {
    pool.Run([this] { Run(); });
  }

  void OnCancel() override { context_.Cancel(); }
  void OnDone() override { delete this; }

 private:
  void Run() {
    Status status = context_.Check();
    if (status.ok()) {
      StatusOr<Response> answer = body_(context_, request_);
      status = answer.status();
      if (answer.ok()) {
        response_ = *std::move(answer);
        record_.SetObject(ObjectOf(response_));
      }
    }
    record_.Finish(status);
    Finish(ToGrpc(status));
  }

  const Context context_;
  const Request& request_;
  Response& response_;
  RequestRecord record_;
  const Body body_;
};

// A request that is answered by a stream. The body writes message by message
// from a worker thread and ends the stream by returning.
template <typename Request, typename Response>
class StreamCall final : public grpc::ServerWriteReactor<Response> {
 public:
  // Waits until the message is on its way; an error when the client is gone.
  using Sink = std::function<Status(const Response&)>;
  using Body =
      std::function<Status(const Context&, const Request&, const Sink&)>;

  StreamCall(const grpc::CallbackServerContext& call, const char* method,
             const Request& request, RequestLog& log, Body body)
      : context_(ContextOf(call)),
        request_(request),
        record_(log, method, context_.request_id(), ObjectOf(request)),
        body_(std::move(body)) {}

  void RunOn(WorkerPool& pool) {
    pool.Run([this] { Run(); });
  }
  void Refuse(const Status& status) {
    record_.Finish(status);
    this->Finish(ToGrpc(status));
  }

  void OnCancel() override { context_.Cancel(); }
  void OnDone() override { delete this; }
  void OnWriteDone(bool ok) override {
    MutexLock lock(mutex_);
    written_ = true;
    broken_ = !ok;
    changed_.Signal();
  }

 private:
  void Run() {
    Status status = context_.Check();
    if (status.ok()) {
      status = body_(context_, request_,
                     [this](const Response& m) { return Write(m); });
    }
    record_.Finish(status);
    this->Finish(ToGrpc(status));
  }

  Status Write(const Response& message) {
    RETURN_IF_ERROR(context_.Check());
    MutexLock lock(mutex_);
    written_ = false;
    this->StartWrite(&message);
    while (!written_) changed_.Wait(mutex_);
    return broken_ ? Cancelled("write to the stream: the client is gone")
                   : OkStatus();
  }

  const Context context_;
  const Request& request_;
  RequestRecord record_;
  const Body body_;
  Mutex mutex_;
  CondVar changed_;
  bool written_ GUARDED_BY(mutex_) = false;
  bool broken_ GUARDED_BY(mutex_) = false;
};

}  // namespace berth::cri

#endif  // CRI_CALL_H_
