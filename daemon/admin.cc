#include "daemon/admin.h"

#include <grpcpp/grpcpp.h>

#include <filesystem>

#include "api/admin/v1/admin.grpc.pb.h"

namespace berth::daemon {

StatusOr<std::vector<std::string>> ImportImages(const std::string& socket,
                                                const std::string& archive) {
  std::error_code error;
  admin::v1::ImportImagesRequest request;
  // The daemon has another working directory.
  request.set_path(std::filesystem::absolute(archive, error).string());
  if (error) return Errno(error.value(), "find " + archive);

  const auto channel =
      grpc::CreateChannel("unix:" + socket, grpc::InsecureChannelCredentials());
  const auto stub = admin::v1::Admin::NewStub(channel);
  grpc::ClientContext context;
  admin::v1::ImportImagesResponse response;
  const grpc::Status status = stub->ImportImages(&context, request, &response);
  if (!status.ok()) {
    return Error(static_cast<StatusCode>(status.error_code()),
                 status.error_message());
  }
  return std::vector<std::string>(response.names().begin(),
                                  response.names().end());
}

}  // namespace berth::daemon
