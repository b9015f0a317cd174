#ifndef CRI_IMAGE_SERVICE_H_
#define CRI_IMAGE_SERVICE_H_

#include <functional>
#include <string>
#include <vector>

#include "api/admin/v1/admin.pb.h"
#include "api/cri/v1/image_api.pb.h"
#include "base/context.h"
#include "base/status.h"
#include "cri/convert.h"
#include "cri/security_profiles.h"
#include "cri/usage/cache.h"
#include "image/image_service.h"

namespace berth::cri {

struct ImageFacts {
  // Names that a request may give as its runtime handler, besides none.
  std::vector<std::string> handlers;
  // A folder of the file system that images and writable layers are on.
  std::string mountpoint;
  // What becomes of compressed layers.
  image::BlobPolicy pulled_blobs = image::BlobPolicy::kDrop;
  image::BlobPolicy imported_blobs = image::BlobPolicy::kKeep;
};

// ImageService of the CRI without its transport; see RuntimeService. An image
// that is not here is an empty answer of ImageStatus and success for
// RemoveImage, and never an error. AuthConfig goes from the request to the
// puller and nowhere else.
//
// Thread-safe.
class ImageService {
 public:
  template <typename Message>
  using Sink = std::function<Status(const Message&)>;

  // `images` must outlive it.
  ImageService(ImageFacts facts, image::ImageService& images);

  StatusOr<v1::ListImagesResponse> ListImages(
      const Context& ctx, const v1::ListImagesRequest& request);
  Status StreamImages(const Context& ctx,
                      const v1::StreamImagesRequest& request,
                      const Sink<v1::StreamImagesResponse>& sink);
  StatusOr<v1::ImageStatusResponse> ImageStatus(
      const Context& ctx, const v1::ImageStatusRequest& request);
  StatusOr<v1::PullImageResponse> PullImage(
      const Context& ctx, const v1::PullImageRequest& request);
  StatusOr<v1::RemoveImageResponse> RemoveImage(
      const Context& ctx, const v1::RemoveImageRequest& request);
  StatusOr<v1::ImageFsInfoResponse> ImageFsInfo(
      const Context& ctx, const v1::ImageFsInfoRequest& request);

  // The calls of this service that are about security profiles.
  SecurityProfiles& profiles() { return profiles_; }

  // api/admin/v1.
  StatusOr<admin::v1::ImportImagesResponse> ImportImages(
      const Context& ctx, const admin::v1::ImportImagesRequest& request);
  StatusOr<admin::v1::ExportImagesResponse> ExportImages(
      const Context& ctx, const admin::v1::ExportImagesRequest& request);

  // What a name in a container's configuration stands for.
  StatusOr<ImageNames> Names(const std::string& name) const;
  // Of a container's writable layer; see UsageCache.
  StatusOr<v1::FilesystemUsage> WritableLayer(const std::string& key);

 private:
  StatusOr<std::vector<v1::Image>> Find(const v1::ImageFilter& filter) const;

  const ImageFacts facts_;
  image::Images& images_;
  image::Transfer& transfer_;
  SecurityProfiles profiles_;
  UsageCache layers_;
};

}  // namespace berth::cri

#endif  // CRI_IMAGE_SERVICE_H_
