#include "cri/image_service.h"

#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/fs/foreign_path.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/unique_fd.h"
#include "cri/chunk.h"
#include "cri/convert_image.h"
#include "image/archive/file_sink.h"
#include "image/archive/layout_sink.h"

namespace berth::cri {
namespace {

v1::FilesystemUsage ToUsage(const std::string& mountpoint,
                            const image::DiskUsage& usage, UnixNanos time) {
  v1::FilesystemUsage ours;
  ours.set_timestamp(time);
  ours.mutable_fs_id()->set_mountpoint(mountpoint);
  ours.mutable_used_bytes()->set_value(usage.bytes);
  ours.mutable_inodes_used()->set_value(usage.inodes);
  return ours;
}

// The OCI image configuration, where `crictl inspecti` looks for it.
StatusOr<std::string> ImageInfo(const image::Images& images,
                                const image::Image& image) {
  ASSIGN_OR_RETURN(const std::string text, images.ConfigJson(image.id()));
  ASSIGN_OR_RETURN(Json spec,
                   ParseJson(text, "configuration of image " + image.id()));
  return DumpJson(Json{{"chainID", image.record.chain_id()},
                       {"imageSpec", std::move(spec)}});
}

// The name that was asked for; all tags if that was an id.
image::Transfer::Departure DepartureOf(const image::Image& image,
                                       const std::string& asked) {
  image::Transfer::Departure departure;
  departure.id = image.id();
  std::vector<std::string> names = image.repo_tags;
  const StatusOr<image::Reference> name = image::Reference::Parse(asked);
  if (name.ok()) {
    for (const auto* all : {&image.repo_tags, &image.repo_digests}) {
      const bool has =
          std::find(all->begin(), all->end(), name->str()) != all->end();
      if (has) names = {name->str()};
    }
  }
  for (const std::string& text : names) {
    StatusOr<image::Reference> parsed = image::Reference::Parse(text);
    if (parsed.ok()) departure.names.push_back(*std::move(parsed));
  }
  return departure;
}

}  // namespace

ImageService::ImageService(ImageFacts facts, image::ImageService& images)
    : facts_(std::move(facts)),
      images_(images.images()),
      transfer_(images.transfer()),
      profiles_(images.profiles()),
      layers_([this, &rootfs = images.rootfs()](
                  const std::string& key) -> StatusOr<v1::FilesystemUsage> {
        ASSIGN_OR_RETURN(const image::DiskUsage usage, rootfs.Usage(key));
        return ToUsage(facts_.mountpoint, usage, Now());
      }) {}

StatusOr<std::vector<v1::Image>> ImageService::Find(
    const v1::ImageFilter& filter) const {
  std::vector<v1::Image> found;
  const std::string& name = filter.image().image();
  if (!name.empty()) {
    const StatusOr<image::Image> image = images_.Resolve(name);
    RETURN_IF_ERROR(IgnoreNotFound(image.status()));
    if (image.ok()) found.push_back(ToImage(*image));
    return found;
  }
  ASSIGN_OR_RETURN(const std::vector<image::Image> all,
                   images_.List(image::ImageFilter()));
  for (const image::Image& image : all) {
    found.push_back(ToImage(image));
  }
  return found;
}

StatusOr<v1::ListImagesResponse> ImageService::ListImages(
    const Context&, const v1::ListImagesRequest& request) {
  ASSIGN_OR_RETURN(std::vector<v1::Image> images, Find(request.filter()));
  v1::ListImagesResponse response;
  for (v1::Image& image : images) *response.add_images() = std::move(image);
  return response;
}

Status ImageService::StreamImages(const Context&,
                                  const v1::StreamImagesRequest& request,
                                  const Sink<v1::StreamImagesResponse>& sink) {
  ASSIGN_OR_RETURN(const std::vector<v1::Image> images, Find(request.filter()));
  return SendInChunks<v1::StreamImagesResponse, v1::Image>(
      images, [](auto& m, const auto& image) { *m.add_images() = image; },
      sink);
}

StatusOr<v1::ImageStatusResponse> ImageService::ImageStatus(
    const Context&, const v1::ImageStatusRequest& request) {
  if (request.image().image().empty()) {
    return InvalidArgument("image.image: is missing");
  }
  v1::ImageStatusResponse response;
  const StatusOr<image::Image> image = images_.Resolve(request.image().image());
  RETURN_IF_ERROR(IgnoreNotFound(image.status()));
  if (!image.ok()) return response;
  *response.mutable_image() = ToImage(*image);
  if (request.verbose()) {
    ASSIGN_OR_RETURN((*response.mutable_info())["info"],
                     ImageInfo(images_, *image));
  }
  return response;
}

StatusOr<v1::PullImageResponse> ImageService::PullImage(
    const Context& ctx, const v1::PullImageRequest& request) {
  const std::string& handler = request.image().runtime_handler();
  if (!handler.empty() &&
      std::find(facts_.handlers.begin(), facts_.handlers.end(), handler) ==
          facts_.handlers.end()) {
    return InvalidArgument("image.runtime_handler: there is no " +
                           Quoted(handler));
  }
  ASSIGN_OR_RETURN_AS(const image::Reference reference,
                      image::Reference::Parse(request.image().image()),
                      "image.image");
  const StatusOr<image::Image> image = transfer_.Pull(
      ctx, reference, FromAuth(request.auth()), facts_.pulled_blobs, nullptr);
  RETURN_IF_ERROR(WordFirst(image.status()));
  v1::PullImageResponse response;
  response.set_image_ref(image->id());
  return response;
}

StatusOr<v1::RemoveImageResponse> ImageService::RemoveImage(
    const Context&, const v1::RemoveImageRequest& request) {
  if (request.image().image().empty()) {
    return InvalidArgument("image.image: is missing");
  }
  // By any of its names: all of them go.
  const StatusOr<image::Image> image = images_.Resolve(request.image().image());
  RETURN_IF_ERROR(IgnoreNotFound(image.status()));
  if (image.ok()) {
    RETURN_IF_ERROR(IgnoreNotFound(images_.Remove(image->id())));
  }
  return v1::RemoveImageResponse();
}

StatusOr<v1::ImageFsInfoResponse> ImageService::ImageFsInfo(
    const Context&, const v1::ImageFsInfoRequest&) {
  ASSIGN_OR_RETURN(const image::StoreUsage store, images_.StoreUsageNow());
  v1::ImageFsInfoResponse response;
  // Writable layers are on the same file system: nothing to tell apart.
  *response.add_image_filesystems() =
      ToUsage(facts_.mountpoint, store.usage, store.timestamp);
  return response;
}

StatusOr<admin::v1::ImportImagesResponse> ImageService::ImportImages(
    const Context& ctx, const admin::v1::ImportImagesRequest& request) {
  if (!StartsWith(request.path(), "/")) {
    return InvalidArgument("path: must be absolute");
  }
  ASSIGN_OR_RETURN_AS(const PathFacts found, InspectPath(ctx, request.path()),
                      "find image archive");
  if (!S_ISREG(found.info.st_mode)) {
    return InvalidArgument("image archive " + Quoted(request.path()) +
                           ": not a regular file");
  }
  ASSIGN_OR_RETURN(UniqueFd archive, OpenFile(found.path, O_RDONLY));
  ASSIGN_OR_RETURN_AS(
      const std::vector<image::Image> imported,
      transfer_.ImportArchive(ctx, std::move(archive), /*base=*/"",
                              facts_.imported_blobs),
      "import images from " + Quoted(request.path()));
  admin::v1::ImportImagesResponse response;
  for (const image::Image& image : imported) {
    for (const std::string& tag : image.repo_tags) response.add_names(tag);
    if (image.repo_tags.empty()) response.add_names(image.id());
  }
  return response;
}

StatusOr<admin::v1::ExportImagesResponse> ImageService::ExportImages(
    const Context& ctx, const admin::v1::ExportImagesRequest& request) {
  if (!StartsWith(request.path(), "/")) {
    return InvalidArgument("path: must be absolute");
  }
  if (request.images().empty()) return InvalidArgument("images: is missing");
  std::vector<image::Transfer::Departure> departures;
  for (const std::string& name : request.images()) {
    ASSIGN_OR_RETURN(const image::Image image, images_.Resolve(name));
    departures.push_back(DepartureOf(image, name));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<image::FileSink> files,
                   image::OpenFileSink(request.path()));
  image::LayoutSink sink(*files);
  RETURN_IF_ERROR_AS(transfer_.Export(ctx, departures, sink),
                     "export images to " + Quoted(request.path()));
  return admin::v1::ExportImagesResponse();
}

StatusOr<ImageNames> ImageService::Names(const std::string& name) const {
  ASSIGN_OR_RETURN(const image::Image image, images_.Resolve(name));
  return ImageNames{.id = image.id(),
                    .reference = image.repo_digests.empty()
                                     ? image.id()
                                     : image.repo_digests.front()};
}

StatusOr<v1::FilesystemUsage> ImageService::WritableLayer(
    const std::string& key) {
  return layers_.Get(key);
}

}  // namespace berth::cri
