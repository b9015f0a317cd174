#include "daemon/admin.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <filesystem>
#include <memory>

#include "api/admin/v1/admin.grpc.pb.h"
#include "api/cri/v1/api.grpc.pb.h"

namespace berth::daemon {
namespace {

// The daemon has another working directory. A slash at the end stays.
StatusOr<std::string> AbsolutePath(const std::string& path) {
  std::error_code error;
  const std::string absolute = std::filesystem::absolute(path, error).string();
  if (error) return Errno(error.value(), "find " + path);
  return absolute;
}

std::unique_ptr<admin::v1::Admin::Stub> Connect(const std::string& socket) {
  return admin::v1::Admin::NewStub(grpc::CreateChannel(
      "unix:" + socket, grpc::InsecureChannelCredentials()));
}

Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return OkStatus();
  return Error(static_cast<StatusCode>(status.error_code()),
               status.error_message());
}

}  // namespace

Status AskVersion(const std::string& socket, Duration limit) {
  grpc::ClientContext context;
  context.set_deadline(
      std::chrono::system_clock::now() +
      std::chrono::duration_cast<std::chrono::microseconds>(limit));
  runtime::v1::VersionResponse response;
  return FromGrpc(
      runtime::v1::RuntimeService::NewStub(
          grpc::CreateChannel("unix:" + socket,
                              grpc::InsecureChannelCredentials()))
          ->Version(&context, runtime::v1::VersionRequest(), &response));
}

StatusOr<std::vector<std::string>> ImportImages(const std::string& socket,
                                                const std::string& archive) {
  admin::v1::ImportImagesRequest request;
  ASSIGN_OR_RETURN(*request.mutable_path(), AbsolutePath(archive));
  grpc::ClientContext context;
  admin::v1::ImportImagesResponse response;
  RETURN_IF_ERROR(
      FromGrpc(Connect(socket)->ImportImages(&context, request, &response)));
  return std::vector<std::string>(response.names().begin(),
                                  response.names().end());
}

Status ExportImages(const std::string& socket,
                    const std::vector<std::string>& images,
                    const std::string& path) {
  admin::v1::ExportImagesRequest request;
  for (const std::string& image : images) request.add_images(image);
  ASSIGN_OR_RETURN(*request.mutable_path(), AbsolutePath(path));
  grpc::ClientContext context;
  admin::v1::ExportImagesResponse response;
  return FromGrpc(Connect(socket)->ExportImages(&context, request, &response));
}

}  // namespace berth::daemon
