#include "door/grpc/proxy.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>

#include <chrono>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/strings.h"
#include "base/sys/socket.h"
#include "base/unique_fd.h"
#include "door/grpc/grpc_status.h"
#include "door/http/carry.h"

namespace berth::door {
namespace {

using grpc::ByteBuffer;

// Definitions of builds are the largest messages; BuildKit takes 16 MiB.
constexpr int kMaxMessage = 64 << 20;
// The details of a failed build's status are larger than gRPC's 8 KiB.
constexpr int kMaxMetadata = 1 << 20;

std::string ToText(const ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string text;
  if (!buffer.Dump(&slices).ok()) return text;
  for (const grpc::Slice& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return text;
}

ByteBuffer ToBuffer(const std::string& text) {
  const grpc::Slice slice(text);
  return ByteBuffer(&slice, 1);
}

std::string ToText(const grpc::string_ref& text) {
  return std::string(text.data(), text.size());
}

// What the two connections say of themselves is not passed on.
bool IsPassedOn(const std::string& name) {
  return !StartsWith(name, ":") && !StartsWith(name, "grpc-") &&
         name != "user-agent" && name != "te" && name != "content-type";
}

class Refusal : public grpc::ServerGenericBidiReactor {
 public:
  explicit Refusal(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

}  // namespace

// One server for one client, and a channel of its own to the target.
class GrpcProxy::Core : public grpc::CallbackGenericService {
 public:
  explicit Core(GrpcProxyOptions options) : options_(std::move(options)) {
    if (options_.target.ok()) {
      grpc::ChannelArguments arguments;
      arguments.SetMaxReceiveMessageSize(kMaxMessage);
      arguments.SetMaxSendMessageSize(kMaxMessage);
      arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadata);
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      stub_ = std::make_unique<grpc::GenericStub>(grpc::CreateCustomChannel(
          "unix:" + *options_.target, grpc::InsecureChannelCredentials(),
          arguments));
    }
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(kMaxMessage);
    builder.SetMaxSendMessageSize(kMaxMessage);
    builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadata);
    builder.RegisterCallbackGenericService(this);
    server_ = builder.BuildAndStart();
  }

  ~Core() override {
    if (server_ == nullptr) return;
    server_->Shutdown(std::chrono::system_clock::now());
    {
      MutexLock lock(mutex_);
      while (calls_ > 0) ended_.Wait(mutex_);
    }
    server_->Wait();
  }

  Status Serve(const Context& ctx, UpgradedConnection& client) {
    if (server_ == nullptr) return Internal("start a gRPC server");
    ASSIGN_OR_RETURN(auto pair, SocketPair());
    RETURN_IF_ERROR(SetNonBlocking(pair.first.get()));
    RETURN_IF_ERROR(SetNonBlocking(pair.second.get()));
    grpc::AddInsecureChannelFromFd(server_.get(), pair.second.release());
    return Carry(ctx, client, pair.first.get());
  }

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override;

 private:
  class Call;

  void Ended() {
    MutexLock lock(mutex_);
    --calls_;
    ended_.SignalAll();
  }

  const GrpcProxyOptions options_;
  std::unique_ptr<grpc::GenericStub> stub_;
  std::unique_ptr<grpc::Server> server_;
  Mutex mutex_;
  CondVar ended_;
  int calls_ GUARDED_BY(mutex_) = 0;
};

// One call: this is its near half, towards the client; `far_` the other. Each
// way there is one message at a time, read only when the last has been taken.
// Deletes itself when both halves are done; the far one always is first.
class GrpcProxy::Core::Call : public grpc::ServerGenericBidiReactor {
 public:
  Call(Core& core, grpc::GenericCallbackServerContext& near)
      : core_(core), near_(near), far_(*this) {
    for (const auto& [name, value] : near.client_metadata()) {
      const std::string key = ToText(name);
      if (IsPassedOn(key)) far_context_.AddMetadata(key, ToText(value));
    }
    if (near.deadline() != std::chrono::system_clock::time_point::max()) {
      far_context_.set_deadline(near.deadline());
    }
    if (core_.options_.rewriter) {
      rewriter_ = core_.options_.rewriter(near.method());
    }
    core_.stub_->PrepareBidiStreamingCall(&far_context_, near.method(), {},
                                          &far_);
    far_.AddMultipleHolds(2);  // one for each direction
    far_.StartCall();
    far_.StartRead(&response_);
    StartRead(&request_);
  }

  // ---- From the client to the target.

  void OnReadDone(bool ok) override {
    {
      MutexLock lock(mutex_);
      if (sending_ == kOver) return;
      sending_ = ok ? kBusy : kOver;
    }
    if (!ok) {
      far_.StartWritesDone();
      return far_.RemoveHold();
    }
    if (rewriter_ == nullptr) return far_.StartWrite(&request_);
    core_.options_.run([this] {
      const StatusOr<std::string> changed =
          rewriter_->Request(ToText(request_));
      if (!changed.ok()) {
        Fail(changed.status());
        return FarWritten(false);
      }
      request_ = ToBuffer(*changed);
      far_.StartWrite(&request_);
    });
  }
  void FarWritten(bool ok) {
    {
      MutexLock lock(mutex_);
      ok = ok && !target_ended_;
      sending_ = ok ? kReading : kOver;
    }
    if (ok) return StartRead(&request_);
    far_.RemoveHold();
  }

  // ---- From the target to the client.

  void FarRead(bool ok) {
    if (!ok) return FarEnded();
    if (rewriter_ == nullptr) return StartWrite(&response_);
    core_.options_.run([this] {
      const StatusOr<std::string> changed =
          rewriter_->Response(ToText(response_));
      if (!changed.ok()) {
        Fail(changed.status());
        return OnWriteDone(false);
      }
      response_ = ToBuffer(*changed);
      StartWrite(&response_);
    });
  }
  void FarEnded() {
    bool was_reading = false;
    {
      MutexLock lock(mutex_);
      target_ended_ = true;
      // The client may go on sending: nobody waits for that.
      was_reading = sending_ == kReading;
      if (was_reading) sending_ = kOver;
    }
    if (was_reading) far_.RemoveHold();
    far_.RemoveHold();
  }
  void OnWriteDone(bool ok) override {
    if (!ok) far_context_.TryCancel();
    far_.StartRead(&response_);
  }

  // ---- The end.

  void OnCancel() override { far_context_.TryCancel(); }
  void FarDone(const grpc::Status& status) {
    for (const auto& [name, value] : far_context_.GetServerTrailingMetadata()) {
      const std::string key = ToText(name);
      if (IsPassedOn(key)) near_.AddTrailingMetadata(key, ToText(value));
    }
    grpc::Status last = status;
    {
      MutexLock lock(mutex_);
      if (!failure_.ok()) last = ToGrpc(failure_);
    }
    Finish(last);
  }
  void OnDone() override {
    Core& core = core_;
    delete this;
    core.Ended();
  }

 private:
  class Far : public grpc::ClientBidiReactor<ByteBuffer, ByteBuffer> {
   public:
    explicit Far(Call& call) : call_(call) {}
    void OnReadDone(bool ok) override { call_.FarRead(ok); }
    void OnWriteDone(bool ok) override { call_.FarWritten(ok); }
    void OnDone(const grpc::Status& status) override { call_.FarDone(status); }

   private:
    Call& call_;
  };

  // The client gets this instead of the target's status.
  void Fail(const Status& status) {
    {
      MutexLock lock(mutex_);
      if (failure_.ok()) failure_ = status;
    }
    far_context_.TryCancel();
  }

  Core& core_;
  grpc::GenericCallbackServerContext& near_;
  grpc::ClientContext far_context_;
  Far far_;
  std::unique_ptr<CallRewriter> rewriter_;
  ByteBuffer request_;
  ByteBuffer response_;

  Mutex mutex_;
  // Of the client's messages: one is waited for, one is on its way, or no more
  // are passed on.
  enum { kReading, kBusy, kOver } sending_ GUARDED_BY(mutex_) = kReading;
  bool target_ended_ GUARDED_BY(mutex_) = false;
  Status failure_ GUARDED_BY(mutex_);
};

grpc::ServerGenericBidiReactor* GrpcProxy::Core::CreateReactor(
    grpc::GenericCallbackServerContext* context) {
  if (stub_ == nullptr) return new Refusal(ToGrpc(options_.target.status()));
  {
    MutexLock lock(mutex_);
    ++calls_;
  }
  return new Call(*this, *context);
}

GrpcProxy::GrpcProxy(GrpcProxyOptions options)
    : core_(std::make_unique<Core>(std::move(options))) {}

GrpcProxy::~GrpcProxy() = default;

Status GrpcProxy::Serve(const Context& ctx, UpgradedConnection& client) {
  return core_->Serve(ctx, client);
}

}  // namespace berth::door
