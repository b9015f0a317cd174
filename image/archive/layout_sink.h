#ifndef IMAGE_ARCHIVE_LAYOUT_SINK_H_
#define IMAGE_ARCHIVE_LAYOUT_SINK_H_

#include "base/context.h"
#include "base/json.h"
#include "base/status.h"
#include "image/archive/file_sink.h"
#include "image/transfer/image_sink.h"

namespace berth::image {

// Images as an OCI image layout (OCI image specification, image-layout.md),
// with a manifest.json beside it, so that `docker load` reads it too. Each name
// is an entry of index.json: in full as "io.containerd.image.name", its tag as
// "org.opencontainers.image.ref.name". Single-threaded.
class LayoutSink : public ImageSink {
 public:
  // `files` must outlive it.
  explicit LayoutSink(FileSink& files) : files_(files) {}

  Status PutBlob(const Context& ctx, const Descriptor& blob,
                 ByteSource& bytes) override;
  Status PutImage(const Context& ctx, const Entry& image) override;
  Status Finish(const Context& ctx) override;

 private:
  FileSink& files_;
  Json index_ = Json::array();   // manifests of index.json
  Json docker_ = Json::array();  // manifest.json
};

}  // namespace berth::image

#endif  // IMAGE_ARCHIVE_LAYOUT_SINK_H_
