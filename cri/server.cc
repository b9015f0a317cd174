#include "cri/server.h"

#include <grpcpp/grpcpp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>

#include "cri/endpoint.h"

namespace berth::cri {
namespace {

// Far above what clients send: a pod with thousands of mounts is a megabyte.
constexpr int kMaxReceiveBytes = 80 << 20;

class GrpcServer final : public Server {
 public:
  GrpcServer(const ServerOptions& options, RuntimeService& runtime,
             ImageService& images)
      : socket_(options.socket),
        log_(options.log_queries),
        requests_("cri", options.requests),
        exec_sync_("cri-exec", options.exec_sync),
        event_streams_("cri-events", options.event_streams),
        pulls_("cri-pull", options.pulls),
        lanes_{log_, requests_, exec_sync_, event_streams_, pulls_},
        runtime_(NewRuntimeEndpoint(runtime, lanes_)),
        images_(NewImageEndpoint(images, lanes_)),
        admin_(NewAdminEndpoint(images, lanes_)) {}

  ~GrpcServer() override { Shutdown(Duration(0)); }

  Status Listen() {
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(kMaxReceiveBytes);
    builder.SetMaxSendMessageSize(-1);
    builder.AddListeningPort("unix:" + socket_,
                             grpc::InsecureServerCredentials());
    builder.RegisterService(runtime_.get());
    builder.RegisterService(images_.get());
    builder.RegisterService(admin_.get());
    // The socket's mode from its first moment; nothing else runs yet.
    const mode_t before = umask(0117);
    server_ = builder.BuildAndStart();
    umask(before);
    if (server_ == nullptr) return Internal("listen on " + socket_);
    return OkStatus();
  }

  void Shutdown(Duration grace) override {
    if (server_ == nullptr) return;
    server_->Shutdown(
        std::chrono::system_clock::now() +
        std::chrono::duration_cast<std::chrono::system_clock::duration>(grace));
    server_->Wait();
    server_.reset();
    unlink(socket_.c_str());
  }

 private:
  const std::string socket_;
  RequestLog log_;
  WorkerPool requests_;
  WorkerPool exec_sync_;
  WorkerPool event_streams_;
  WorkerPool pulls_;
  const Lanes lanes_;
  const std::unique_ptr<grpc::Service> runtime_;
  const std::unique_ptr<grpc::Service> images_;
  const std::unique_ptr<grpc::Service> admin_;
  std::unique_ptr<grpc::Server> server_;
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
