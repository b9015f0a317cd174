#include "api/admin/v1/admin.grpc.pb.h"
#include "api/cri/v1/image_api.grpc.pb.h"
#include "cri/endpoint.h"
#include "door/grpc/stream_call.h"
#include "door/grpc/unary_call.h"

namespace berth::cri {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;
using grpc::ServerWriteReactor;

template <typename Service, typename Request, typename Response>
ServerUnaryReactor* Serve(const Lanes& lanes, Service& service,
                          CallbackServerContext* call, const char* name,
                          const Request* request, Response* response,
                          StatusOr<Response> (Service::*method)(const Context&,
                                                                const Request&),
                          door::WorkerPool& pool) {
  auto* unary = new door::UnaryCall<Request, Response>(
      *call, name, *request, *response, lanes.log,
      [&service, method](const Context& ctx, const Request& asked) {
        return (service.*method)(ctx, asked);
      });
  unary->RunOn(pool);
  return unary;
}

class ImageEndpoint final : public v1::ImageService::CallbackService {
 public:
  ImageEndpoint(ImageService& service, const Lanes& lanes)
      : service_(service), lanes_(lanes) {}

  // ANSWER(Verb): the generated method Verb, answered by Verb of an object.
#define ANSWER(Verb, object, Class, pool)                                      \
  ServerUnaryReactor* Verb(CallbackServerContext* call,                        \
                           const v1::Verb##Request* request,                   \
                           v1::Verb##Response* response) override {            \
    return Serve(lanes_, object, call, #Verb, request, response, &Class::Verb, \
                 pool);                                                        \
  }
#define METHOD(Verb, pool) ANSWER(Verb, service_, ImageService, pool)
#define PROFILES(Verb, pool) \
  ANSWER(Verb, service_.profiles(), SecurityProfiles, pool)
  METHOD(ListImages, lanes_.queries)
  METHOD(ImageStatus, lanes_.queries)
  METHOD(PullImage, lanes_.pulls)
  PROFILES(PullSecurityProfile, lanes_.pulls)
  PROFILES(ListSecurityProfiles, lanes_.queries)
  PROFILES(RemoveSecurityProfile, lanes_.requests)
  METHOD(RemoveImage, lanes_.requests)
  METHOD(ImageFsInfo, lanes_.statistics)
#undef PROFILES
#undef METHOD
#undef ANSWER

  ServerWriteReactor<v1::StreamImagesResponse>* StreamImages(
      CallbackServerContext* call,
      const v1::StreamImagesRequest* request) override {
    auto* stream =
        new door::StreamCall<v1::StreamImagesRequest, v1::StreamImagesResponse>(
            *call, "StreamImages", *request, lanes_.log,
            [this](const Context& ctx, const auto& asked, const auto& sink) {
              return service_.StreamImages(ctx, asked, sink);
            });
    stream->RunOn(lanes_.queries);
    return stream;
  }

 private:
  ImageService& service_;
  const Lanes lanes_;
};

class AdminEndpoint final : public admin::v1::Admin::CallbackService {
 public:
  AdminEndpoint(ImageService& service, const Lanes& lanes)
      : service_(service), lanes_(lanes) {}

  ServerUnaryReactor* ImportImages(
      CallbackServerContext* call,
      const admin::v1::ImportImagesRequest* request,
      admin::v1::ImportImagesResponse* response) override {
    return Serve(lanes_, service_, call, "ImportImages", request, response,
                 &ImageService::ImportImages, lanes_.requests);
  }
  ServerUnaryReactor* ExportImages(
      CallbackServerContext* call,
      const admin::v1::ExportImagesRequest* request,
      admin::v1::ExportImagesResponse* response) override {
    return Serve(lanes_, service_, call, "ExportImages", request, response,
                 &ImageService::ExportImages, lanes_.requests);
  }

 private:
  ImageService& service_;
  const Lanes lanes_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewImageEndpoint(ImageService& service,
                                                const Lanes& lanes) {
  return std::make_unique<ImageEndpoint>(service, lanes);
}

std::unique_ptr<grpc::Service> NewAdminEndpoint(ImageService& service,
                                                const Lanes& lanes) {
  return std::make_unique<AdminEndpoint>(service, lanes);
}

}  // namespace berth::cri
