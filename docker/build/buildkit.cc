#include "docker/build/buildkit.h"

#include <grpcpp/grpcpp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "api/buildkit/v1/control.grpc.pb.h"
#include "base/thread.h"
#include "base/unique_fd.h"

namespace berth::docker {
namespace {

constexpr size_t kPiece = 32 << 10;
constexpr int kMaxMetadata = 1 << 20;

Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return OkStatus();
  return Status(static_cast<StatusCode>(status.error_code()),
                status.error_message());
}

// A call that is cancelled when its context ends; for that it has a thread.
// Single-threaded, as is the call.
class BoundCall {
 public:
  static StatusOr<std::unique_ptr<BoundCall>> Start(const Context& ctx) {
    std::unique_ptr<BoundCall> call(new BoundCall(ctx));
    if (!call->ended_.valid()) return Errno(errno, "make an eventfd");
    ASSIGN_OR_RETURN(call->watch_, StartThread("build-call", [c = call.get()] {
                       c->Watch();
                     }));
    return call;
  }
  ~BoundCall() {
    const uint64_t one = 1;
    // A new eventfd takes it.
    (void)!write(ended_.get(), &one, sizeof(one));
    watch_.Join();
  }

  grpc::ClientContext& grpc() { return context_; }

 private:
  explicit BoundCall(Context ctx)
      : ctx_(std::move(ctx)), ended_(eventfd(0, EFD_CLOEXEC)) {
    if (const auto deadline = ctx_.deadline()) {
      context_.set_deadline(
          std::chrono::system_clock::now() +
          std::chrono::duration_cast<std::chrono::system_clock::duration>(
              *deadline - std::chrono::steady_clock::now()));
    }
  }
  void Watch() {
    pollfd fds[] = {{ended_.get(), POLLIN, 0}, {ctx_.cancel_fd(), POLLIN, 0}};
    while (poll(fds, 2, -1) < 0 && errno == EINTR) {
    }
    if (fds[1].revents != 0) context_.TryCancel();
  }

  const Context ctx_;
  grpc::ClientContext context_;
  const UniqueFd ended_;
  Thread watch_;
};

}  // namespace

class BuildKit::Impl {
 public:
  explicit Impl(const std::string& socket) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    // Why a build failed comes with the call stacks of BuildKit.
    arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadata);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stub = bk::Control::NewStub(grpc::CreateCustomChannel(
        "unix:" + socket, grpc::InsecureChannelCredentials(), arguments));
  }

  // Until the build of that reference has ended, or `ctx`.
  Status Follow(const Context& ctx, const std::string& ref,
                const std::function<Status(const bk::StatusResponse&)>& tell) {
    ASSIGN_OR_RETURN(const auto call, BoundCall::Start(ctx));
    bk::StatusRequest request;
    request.set_ref(ref);
    const auto reader = stub->Status(&call->grpc(), request);
    bk::StatusResponse news;
    Status told;
    while (told.ok() && reader->Read(&news)) told = tell(news);
    if (!told.ok()) call->grpc().TryCancel();
    (void)reader->Finish();  // why a build failed is Solve's to say
    return told;
  }

  std::unique_ptr<bk::Control::Stub> stub;
};

BuildKit::BuildKit(const std::string& socket)
    : impl_(std::make_unique<Impl>(socket)) {}

BuildKit::~BuildKit() = default;

StatusOr<bk::SolveResponse> BuildKit::Solve(
    const Context& ctx, const bk::SolveRequest& request,
    const std::function<Status(const bk::StatusResponse&)>& follow) {
  const Context work = ctx.WithCancel();
  Status followed;
  ASSIGN_OR_RETURN(Thread follower, StartThread("build-status", [&] {
                     followed = impl_->Follow(work, request.ref(), follow);
                     if (!followed.ok()) work.Cancel();
                   }));
  bk::SolveResponse response;
  grpc::Status solved;
  {
    auto call = BoundCall::Start(work);
    solved = call.ok()
                 ? impl_->stub->Solve(&(*call)->grpc(), request, &response)
                 : grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                                Message(call.status()));
  }
  if (!solved.ok() && solved.error_code() != grpc::StatusCode::UNKNOWN) {
    work.Cancel();  // it may never have begun: nothing ends the other call
  }
  follower.Join();
  RETURN_IF_ERROR(followed);
  RETURN_IF_ERROR(FromGrpc(solved));
  return response;
}

StatusOr<std::vector<bk::UsageRecord>> BuildKit::DiskUsage(const Context& ctx) {
  ASSIGN_OR_RETURN(const auto call, BoundCall::Start(ctx.WithCancel()));
  bk::DiskUsageResponse response;
  RETURN_IF_ERROR(
      FromGrpc(impl_->stub->DiskUsage(&call->grpc(), {}, &response)));
  return std::vector<bk::UsageRecord>(response.record().begin(),
                                      response.record().end());
}

StatusOr<std::vector<bk::UsageRecord>> BuildKit::Prune(
    const Context& ctx, const bk::PruneRequest& request) {
  ASSIGN_OR_RETURN(const auto call, BoundCall::Start(ctx.WithCancel()));
  const auto reader = impl_->stub->Prune(&call->grpc(), request);
  std::vector<bk::UsageRecord> removed;
  bk::UsageRecord record;
  while (reader->Read(&record)) removed.push_back(record);
  RETURN_IF_ERROR(FromGrpc(reader->Finish()));
  return removed;
}

Status BuildKit::CarrySession(
    const Context& ctx, const std::multimap<std::string, std::string>& headers,
    door::UpgradedConnection& client) {
  const Context work = ctx.WithCancel();
  ASSIGN_OR_RETURN(const auto call, BoundCall::Start(work));
  for (const auto& [name, value] : headers) {
    call->grpc().AddMetadata(name, value);
  }
  const auto stream = impl_->stub->Session(&call->grpc());
  ASSIGN_OR_RETURN(Thread back, StartThread("build-session", [&] {
                     bk::BytesMessage message;
                     while (stream->Read(&message) &&
                            client.Write(work, message.data()).ok()) {
                     }
                     work.Cancel();
                   }));
  while (true) {
    StatusOr<std::string> piece = client.Read(work, kPiece);
    if (!piece.ok() || piece->empty()) break;
    bk::BytesMessage message;
    message.set_data(*std::move(piece));
    if (!stream->Write(message)) break;
  }
  call->grpc().TryCancel();
  back.Join();
  (void)stream->Finish();  // it was cancelled
  return ctx.Check();
}

}  // namespace berth::docker
