#include "api/cri/v1/api.grpc.pb.h"
#include "cri/endpoint.h"
#include "door/grpc/stream_call.h"
#include "door/grpc/unary_call.h"

namespace berth::cri {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;
using grpc::ServerWriteReactor;

template <typename Request, typename Response>
using UnaryMethod = StatusOr<Response> (RuntimeService::*)(const Context&,
                                                           const Request&);
template <typename Request, typename Response>
using StreamMethod = Status (RuntimeService::*)(
    const Context&, const Request&, const RuntimeService::Sink<Response>&);

class RuntimeEndpoint final : public v1::RuntimeService::CallbackService {
 public:
  RuntimeEndpoint(RuntimeService& service, const Lanes& lanes)
      : service_(service), lanes_(lanes) {}

  // METHOD(Verb): the generated method Verb, answered by our Verb.
#define METHOD(Verb) METHOD_ON(Verb, Verb, lanes_.requests)
#define METHOD_ON(Verb, Ours, pool)                                            \
  ServerUnaryReactor* Verb(CallbackServerContext* call,                        \
                           const v1::Verb##Request* request,                   \
                           v1::Verb##Response* response) override {            \
    return Serve(call, #Verb, request, response, &RuntimeService::Ours, pool); \
  }
  METHOD_ON(Version, Version, lanes_.queries)
  METHOD_ON(Status, GetStatus, lanes_.queries)
  METHOD_ON(RuntimeConfig, RuntimeConfig, lanes_.queries)
  METHOD(UpdateRuntimeConfig)
  METHOD(RunPodSandbox)
  METHOD(StopPodSandbox)
  METHOD(RemovePodSandbox)
  METHOD_ON(PodSandboxStatus, PodSandboxStatus, lanes_.queries)
  METHOD_ON(ListPodSandbox, ListPodSandbox, lanes_.queries)
  METHOD(UpdatePodSandboxResources)
  METHOD(CreateContainer)
  METHOD(StartContainer)
  METHOD(StopContainer)
  METHOD(RemoveContainer)
  METHOD_ON(ContainerStatus, ContainerStatus, lanes_.queries)
  METHOD_ON(ListContainers, ListContainers, lanes_.queries)
  METHOD(UpdateContainerResources)
  METHOD(ReopenContainerLog)
  // These only answer an address.
  METHOD_ON(Exec, Exec, lanes_.queries)
  METHOD_ON(Attach, Attach, lanes_.queries)
  METHOD_ON(PortForward, PortForward, lanes_.queries)
  METHOD_ON(ContainerStats, ContainerStats, lanes_.statistics)
  METHOD_ON(ListContainerStats, ListContainerStats, lanes_.statistics)
  METHOD_ON(PodSandboxStats, PodSandboxStats, lanes_.statistics)
  METHOD_ON(ListPodSandboxStats, ListPodSandboxStats, lanes_.statistics)
  METHOD_ON(ListMetricDescriptors, ListMetricDescriptors, lanes_.queries)
  METHOD_ON(ListPodSandboxMetrics, ListPodSandboxMetrics, lanes_.statistics)
#undef METHOD
#undef METHOD_ON

#define STREAM_ON(Verb, pool)                                        \
  ServerWriteReactor<v1::Verb##Response>* Verb(                      \
      CallbackServerContext* call, const v1::Verb##Request* request) \
      override {                                                     \
    return Serve(call, #Verb, request, &RuntimeService::Verb, pool); \
  }
  STREAM_ON(StreamPodSandboxes, lanes_.queries)
  STREAM_ON(StreamContainers, lanes_.queries)
  STREAM_ON(StreamContainerStats, lanes_.statistics)
  STREAM_ON(StreamPodSandboxStats, lanes_.statistics)
  STREAM_ON(StreamPodSandboxMetrics, lanes_.statistics)
#undef STREAM_ON

  ServerUnaryReactor* ExecSync(CallbackServerContext* call,
                               const v1::ExecSyncRequest* request,
                               v1::ExecSyncResponse* response) override {
    return Serve(call, "ExecSync", request, response, &RuntimeService::ExecSync,
                 lanes_.exec_sync, service_.PodOf(request->container_id()));
  }

  ServerWriteReactor<v1::ContainerEventResponse>* GetContainerEvents(
      CallbackServerContext* call,
      const v1::GetEventsRequest* request) override {
    auto* stream =
        new door::StreamCall<v1::GetEventsRequest, v1::ContainerEventResponse>(
            *call, "GetContainerEvents", *request, lanes_.log,
            [this](const Context& ctx, const auto& asked, const auto& sink) {
              return SendEvents(ctx, asked, sink);
            });
    stream->RunOn(lanes_.event_streams);
    return stream;
  }

  // What we do not do answers UNIMPLEMENTED, with the reason.
#define ABSENT(Verb, reason)                                        \
  ServerUnaryReactor* Verb(CallbackServerContext* call,             \
                           const v1::Verb##Request* request,        \
                           v1::Verb##Response* response) override { \
    return Refuse(call, #Verb, request, response, reason);          \
  }
  ABSENT(CheckpointContainer, "checkpoints are not supported")
  ABSENT(CheckpointPod, "checkpoints are not supported")
  ABSENT(RestorePod, "checkpoints are not supported")
#undef ABSENT

 private:
  template <typename Request, typename Response>
  ServerUnaryReactor* Serve(CallbackServerContext* call, const char* name,
                            const Request* request, Response* response,
                            UnaryMethod<Request, Response> method,
                            door::WorkerPool& pool,
                            const std::string& key = "") {
    auto* unary = new door::UnaryCall<Request, Response>(
        *call, name, *request, *response, lanes_.log,
        [&service = service_, method](const Context& ctx,
                                      const Request& asked) {
          return (service.*method)(ctx, asked);
        });
    unary->RunOn(pool, key);
    return unary;
  }

  template <typename Request, typename Response>
  ServerUnaryReactor* Refuse(CallbackServerContext* call, const char* name,
                             const Request* request, Response* response,
                             const char* reason) {
    auto* unary = new door::UnaryCall<Request, Response>(
        *call, name, *request, *response, lanes_.log, nullptr);
    unary->Answer(Unimplemented(std::string(name) + ": " + reason));
    return unary;
  }

  template <typename Request, typename Response>
  ServerWriteReactor<Response>* Serve(CallbackServerContext* call,
                                      const char* name, const Request* request,
                                      StreamMethod<Request, Response> method,
                                      door::WorkerPool& pool) {
    auto* stream = new door::StreamCall<Request, Response>(
        *call, name, *request, lanes_.log,
        [&service = service_, method](
            const Context& ctx, const Request& asked,
            const RuntimeService::Sink<Response>& sink) {
          return (service.*method)(ctx, asked, sink);
        });
    stream->RunOn(pool);
    return stream;
  }

  ::berth::Status SendEvents(
      const Context& ctx, const v1::GetEventsRequest& request,
      const RuntimeService::Sink<v1::ContainerEventResponse>& sink) {
    const door::StreamPlaces::Place place(lanes_.event_readers, ctx);
    const ::berth::Status sent =
        service_.GetContainerEvents(ctx, request, sink);
    if (!place.lost()) return sent;
    return ResourceExhausted(
        "too many event streams are open: a newer one has taken the place of "
        "this one");
  }

  RuntimeService& service_;
  const Lanes lanes_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewRuntimeEndpoint(RuntimeService& service,
                                                  const Lanes& lanes) {
  return std::make_unique<RuntimeEndpoint>(service, lanes);
}

}  // namespace berth::cri
