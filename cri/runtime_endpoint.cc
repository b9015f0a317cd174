#include "api/cri/v1/api.grpc.pb.h"
#include "cri/call.h"
#include "cri/endpoint.h"

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
  METHOD(Version)
  METHOD_ON(Status, GetStatus, lanes_.requests)
  METHOD(RuntimeConfig)
  METHOD(UpdateRuntimeConfig)
  METHOD(RunPodSandbox)
  METHOD(StopPodSandbox)
  METHOD(RemovePodSandbox)
  METHOD(PodSandboxStatus)
  METHOD(ListPodSandbox)
  METHOD(UpdatePodSandboxResources)
  METHOD(CreateContainer)
  METHOD(StartContainer)
  METHOD(StopContainer)
  METHOD(RemoveContainer)
  METHOD(ContainerStatus)
  METHOD(ListContainers)
  METHOD(UpdateContainerResources)
  METHOD(ReopenContainerLog)
  METHOD_ON(ExecSync, ExecSync, lanes_.exec_sync)
  METHOD(ContainerStats)
  METHOD(ListContainerStats)
  METHOD(PodSandboxStats)
  METHOD(ListPodSandboxStats)
#undef METHOD
#undef METHOD_ON

#define STREAM(Verb)                                                 \
  ServerWriteReactor<v1::Verb##Response>* Verb(                      \
      CallbackServerContext* call, const v1::Verb##Request* request) \
      override {                                                     \
    return Serve(call, #Verb, request, &RuntimeService::Verb);       \
  }
  STREAM(StreamPodSandboxes)
  STREAM(StreamContainers)
  STREAM(StreamContainerStats)
  STREAM(StreamPodSandboxStats)
#undef STREAM

  ServerWriteReactor<v1::ContainerEventResponse>* GetContainerEvents(
      CallbackServerContext* call,
      const v1::GetEventsRequest* request) override {
    return ServeEvents(call, request);
  }

  // What we do not do answers UNIMPLEMENTED, with the reason.
#define ABSENT(Verb, reason)                                        \
  ServerUnaryReactor* Verb(CallbackServerContext* call,             \
                           const v1::Verb##Request* request,        \
                           v1::Verb##Response* response) override { \
    return Refuse(call, #Verb, request, response, reason);          \
  }
  ABSENT(Exec, "streaming is not supported yet; ExecSync is")
  ABSENT(Attach, "streaming is not supported yet")
  ABSENT(PortForward, "streaming is not supported yet")
  ABSENT(CheckpointContainer, "checkpoints are not supported")
  ABSENT(CheckpointPod, "checkpoints are not supported")
  ABSENT(RestorePod, "checkpoints are not supported")
  ABSENT(ListMetricDescriptors, "metrics are not supported")
  ABSENT(ListPodSandboxMetrics, "metrics are not supported")
#undef ABSENT

  ServerWriteReactor<v1::StreamPodSandboxMetricsResponse>*
  StreamPodSandboxMetrics(
      CallbackServerContext* call,
      const v1::StreamPodSandboxMetricsRequest* request) override {
    auto* stream = new StreamCall<v1::StreamPodSandboxMetricsRequest,
                                  v1::StreamPodSandboxMetricsResponse>(
        *call, "StreamPodSandboxMetrics", *request, lanes_.log, nullptr);
    stream->Refuse(Unimplemented("metrics are not supported"));
    return stream;
  }

 private:
  template <typename Request, typename Response>
  ServerUnaryReactor* Serve(CallbackServerContext* call, const char* name,
                            const Request* request, Response* response,
                            UnaryMethod<Request, Response> method,
                            WorkerPool& pool) {
    auto* unary = new UnaryCall<Request, Response>(
        *call, name, *request, *response, lanes_.log,
        [this, method](const Context& ctx, const Request& asked) {
          return (service_.*method)(ctx, asked);
        });
    unary->RunOn(pool);
    return unary;
  }

  template <typename Request, typename Response>
  ServerUnaryReactor* Refuse(CallbackServerContext* call, const char* name,
                             const Request* request, Response* response,
                             const char* reason) {
    auto* unary = new UnaryCall<Request, Response>(
        *call, name, *request, *response, lanes_.log,
        [name, reason](const Context&, const Request&) -> StatusOr<Response> {
          return Unimplemented(std::string(name) + ": " + reason);
        });
    unary->RunOn(lanes_.requests);
    return unary;
  }

  template <typename Request, typename Response>
  ServerWriteReactor<Response>* Serve(CallbackServerContext* call,
                                      const char* name, const Request* request,
                                      StreamMethod<Request, Response> method) {
    auto* stream = NewStream(call, name, request, method);
    stream->RunOn(lanes_.requests);
    return stream;
  }

  ServerWriteReactor<v1::ContainerEventResponse>* ServeEvents(
      CallbackServerContext* call, const v1::GetEventsRequest* request) {
    auto* stream = NewStream(call, "GetContainerEvents", request,
                             &RuntimeService::GetContainerEvents);
    if (lanes_.event_streams.load() >= lanes_.event_streams.limit()) {
      stream->Refuse(ResourceExhausted(
          "open an event stream: " +
          std::to_string(lanes_.event_streams.limit()) + " are open"));
    } else {
      stream->RunOn(lanes_.event_streams);
    }
    return stream;
  }

  template <typename Request, typename Response>
  StreamCall<Request, Response>* NewStream(
      CallbackServerContext* call, const char* name, const Request* request,
      StreamMethod<Request, Response> method) {
    return new StreamCall<Request, Response>(
        *call, name, *request, lanes_.log,
        [this, method](const Context& ctx, const Request& asked,
                       const RuntimeService::Sink<Response>& sink) {
          return (service_.*method)(ctx, asked, sink);
        });
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
