#ifndef DOOR_GRPC_STREAM_CALL_H_
#define DOOR_GRPC_STREAM_CALL_H_

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <utility>

#include "base/clock.h"
#include "base/context.h"
#include "base/mutex.h"
#include "base/status.h"
#include "door/call_frame.h"
#include "door/grpc/call_context.h"
#include "door/grpc/grpc_status.h"
#include "door/request_log.h"
#include "door/worker_pool.h"

namespace berth::door {

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
        frame_(log, ContextOf(call), method, ObjectOf(request)),
        request_(request),
        body_(std::move(body)) {}

  void RunOn(WorkerPool& pool) {
    pool_ = &pool;
    const Status taken = pool.Run(this);
    if (!taken.ok()) Answer(taken);
  }
  // Instead of running it.
  void Answer(const Status& status) {
    frame_.Finish(status);
    this->Finish(ToGrpc(status));
  }

  void OnCancel() override {
    frame_.context().Cancel();
    if (pool_ != nullptr && pool_->Withdraw(this)) {
      Answer(frame_.context().Check());
    }
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
    Answer(frame_.Run([this] { return Try(); }));
  }

  Status Try() {
    return body_(frame_.context(), request_,
                 [this](const Response& m) { return Write(m); });
  }

  Status Write(const Response& message) {
    RETURN_IF_ERROR(frame_.context().Check());
    {
      MutexLock lock(mutex_);
      written_ = false;
    }
    this->StartWrite(&message);
    Status sent = AwaitWritten(frame_.context().WithTimeout(kStreamPatience));
    if (!sent.ok()) {
      // gRPC ends the write, and only then is the message ours again.
      call_.TryCancel();
      (void)AwaitWritten(Context::Background());
      RETURN_IF_ERROR(frame_.context().Check());
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
  CallFrame frame_;
  const Request& request_;
  const Body body_;
  WorkerPool* pool_ = nullptr;
  Mutex mutex_;
  CondVar changed_;
  bool written_ GUARDED_BY(mutex_) = false;
  bool broken_ GUARDED_BY(mutex_) = false;
};

}  // namespace berth::door

#endif  // DOOR_GRPC_STREAM_CALL_H_
