#include "cri/server.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "cri/endpoint.h"
#include "door/grpc/acceptor.h"
#include "door/listener.h"

namespace berth::cri {
namespace {

// Far above what clients send: a pod with thousands of mounts is a megabyte.
constexpr int kMaxReceiveBytes = 80 << 20;
// Threads for what only asks: it waits for nothing that can hang.
constexpr size_t kQueries = 64;
constexpr size_t kStatistics = 16;
// How long a connection may be without a call.
constexpr int kIdleMs = 10 * 60'000;

// Of one pod's ExecSync calls at work: probes that hang must leave room for
// those of the other pods.
size_t ShareOf(size_t limit) { return std::max<size_t>(limit / 8, 4); }

class GrpcServer final : public Server {
 public:
  GrpcServer(const ServerOptions& options, RuntimeService& runtime,
             ImageService& images)
      : socket_(options.socket),
        log_("cri", options.log_queries, options.counts),
        queries_({"cri-query", kQueries, 0, 2}),
        statistics_({"cri-stats", kStatistics, 0, 0}),
        requests_({"cri", options.requests, 0, 0}),
        exec_sync_(
            {"cri-exec", options.exec_sync, ShareOf(options.exec_sync), 0}),
        // Those that have lost their place take a moment to end.
        event_streams_({"cri-events", 2 * options.event_streams, 0, 0}),
        event_readers_(options.event_streams),
        pulls_({"cri-pull", options.pulls, 0, 0}),
        lanes_{log_,       queries_,       statistics_,    requests_,
               exec_sync_, event_streams_, event_readers_, pulls_},
        runtime_(NewRuntimeEndpoint(runtime, lanes_)),
        images_(NewImageEndpoint(images, lanes_)),
        admin_(NewAdminEndpoint(images, lanes_)) {}

  ~GrpcServer() override { Shutdown(Duration(0)); }

  Status Listen() {
    ASSIGN_OR_RETURN(door::Listener listener,
                     door::Listener::OnUnix(socket_, 0660));
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(kMaxReceiveBytes);
    builder.SetMaxSendMessageSize(-1);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kIdleMs);
    builder.RegisterService(runtime_.get());
    builder.RegisterService(images_.get());
    builder.RegisterService(admin_.get());
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) return Internal("start a gRPC server");
    ASSIGN_OR_RETURN(
        acceptor_,
        door::Acceptor::Start(std::move(listener), door::AcceptorOptions(),
                              [server = server_.get()](UniqueFd socket) {
                                grpc::AddInsecureChannelFromFd(
                                    server, socket.release());
                              }));
    return OkStatus();
  }

  void Shutdown(Duration grace) override {
    if (server_ == nullptr) return;
    if (acceptor_ != nullptr) acceptor_->Stop();
    server_->Shutdown(
        std::chrono::system_clock::now() +
        std::chrono::duration_cast<std::chrono::system_clock::duration>(grace));
    server_->Wait();
    server_.reset();
  }

  std::vector<door::WorkerPool::Load> Loads() const override {
    std::vector<door::WorkerPool::Load> loads;
    for (const door::WorkerPool* pool :
         {&queries_, &statistics_, &requests_, &exec_sync_, &event_streams_,
          &pulls_}) {
      loads.push_back(pool->load());
    }
    return loads;
  }

 private:
  const std::string socket_;
  door::RequestLog log_;
  door::WorkerPool queries_;
  door::WorkerPool statistics_;
  door::WorkerPool requests_;
  door::WorkerPool exec_sync_;
  door::WorkerPool event_streams_;
  door::StreamPlaces event_readers_;
  door::WorkerPool pulls_;
  const Lanes lanes_;
  const std::unique_ptr<grpc::Service> runtime_;
  const std::unique_ptr<grpc::Service> images_;
  const std::unique_ptr<grpc::Service> admin_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<door::Acceptor> acceptor_;
};

}  // namespace

StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                RuntimeService& runtime,
                                                ImageService& images) {
  auto server = std::make_unique<GrpcServer>(options, runtime, images);
  RETURN_IF_ERROR(server->Listen());
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace berth::cri
