// One request on its way through the door: from gRPC's callback to a worker
// thread, the context that it carries, and the line in the log at its end.
#ifndef CRI_CALL_H_
#define CRI_CALL_H_

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/contain.h"
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

// How long a stream waits for a client to take one message.
inline constexpr Duration kStreamPatience = std::chrono::seconds(10);

// A request that is answered by a stream. The body writes message by message
// from a worker thread and ends the stream by returning. The stream of a client
// that does not read ends too. Thread-safe: gRPC reports to it while a worker
// runs it.
template <typename Request, typename Response>
class StreamCall final : public grpc::ServerWriteReactor<Response>,
                         private WorkerPool::Job {
 public:
  // Waits until the message is on its way; an error when the client is gone
  // or does not read.
  using Sink = std::function<Status(const Response&)>;
  using Body =
      std::function<Status(const Context&, const Request&, const Sink&)>;

  StreamCall(const grpc::CallbackServerContext& call, const char* method,
             const Request& request, RequestLog& log, Body body)
      : call_(call),
        context_(ContextOf(call)),
        request_(request),
        record_(log, method, context_.request_id(), ObjectOf(request)),
        body_(std::move(body)) {}

  void RunOn(WorkerPool& pool) {
    pool_ = &pool;
    const Status taken = pool.Run(this);
    if (!taken.ok()) Answer(taken);
  }
  // Instead of running it.
  void Answer(const Status& status) {
    record_.Finish(status);
    this->Finish(ToGrpc(status));
  }

  void OnCancel() override {
    context_.Cancel();
    if (pool_ != nullptr && pool_->Withdraw(this)) Answer(context_.Check());
  }
  void OnDone() override { delete this; }
  void OnWriteDone(bool ok) override {
    MutexLock lock(mutex_);
    written_ = true;
    broken_ = !ok;
    changed_.Signal();
  }

 private:
  void Work() override {
    Answer(Contain([this] { return Try(); }));
  }

  Status Try() {
    RETURN_IF_ERROR(context_.Check());
    return body_(context_, request_,
                 [this](const Response& m) { return Write(m); });
  }

  Status Write(const Response& message) {
    RETURN_IF_ERROR(context_.Check());
    {
      MutexLock lock(mutex_);
      written_ = false;
    }
    this->StartWrite(&message);
    Status sent = AwaitWritten(context_.WithTimeout(kStreamPatience));
    if (!sent.ok()) {
      // gRPC ends the write, and only then is the message ours again.
      call_.TryCancel();
      (void)AwaitWritten(Context::Background());
      RETURN_IF_ERROR(context_.Check());
      return Unavailable("write to the stream: the client does not read");
    }
    MutexLock lock(mutex_);
    return broken_ ? Cancelled("write to the stream: the client is gone")
                   : OkStatus();
  }

  Status AwaitWritten(const Context& ctx) {
    MutexLock lock(mutex_);
    return ctx.Await(mutex_, changed_,
                     [this]() NO_THREAD_SAFETY_ANALYSIS { return written_; });
  }

  const grpc::CallbackServerContext& call_;
  const Context context_;
  const Request& request_;
  RequestRecord record_;
  const Body body_;
  WorkerPool* pool_ = nullptr;
  Mutex mutex_;
  CondVar changed_;
  bool written_ GUARDED_BY(mutex_) = false;
  bool broken_ GUARDED_BY(mutex_) = false;
};

}  // namespace berth::cri

#endif  // CRI_CALL_H_
