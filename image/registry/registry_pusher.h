#ifndef IMAGE_REGISTRY_REGISTRY_PUSHER_H_
#define IMAGE_REGISTRY_REGISTRY_PUSHER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/http/http_client.h"
#include "base/status.h"
#include "image/manifest.h"
#include "image/reference.h"
#include "image/registry/authorizer.h"
#include "image/registry/mirrors.h"
#include "image/transfer/image_sink.h"

namespace berth::image {

// How far one blob is on its way to a registry.
struct PushProgress {
  enum class State { kPreparing, kPushing, kPushed, kExists, kMounted };
  Digest blob;
  State state = State::kPreparing;
  uint64_t current = 0;
  uint64_t total = 0;
  std::string from;  // kMounted: the repository that had it
};
// Called in the pushing thread.
using PushFunction = std::function<void(const PushProgress&)>;

// The push side of the OCI distribution API, into one repository of a registry
// itself (never of a mirror). A blob that is there is not sent; one that
// another repository of the registry has is asked to be taken from there; else
// it goes in pieces, of which one is in memory at a time.
//
// Errors: UNAUTHENTICATED, PERMISSION_DENIED, UNAVAILABLE, FAILED_PRECONDITION
// for what else the registry says. Single-threaded.
class RegistryPusher : public ImageSink {
 public:
  // `sources` are repositories, with their domains, that may have the blobs.
  // `http` must outlive it.
  RegistryPusher(const HttpClient& http, const Reference& repository,
                 const RegistryHost& host,
                 const std::vector<std::string>& sources,
                 PushFunction progress);

  Status PutBlob(const Context& ctx, const Descriptor& blob,
                 ByteSource& bytes) override;
  // Under each of its names.
  Status PutImage(const Context& ctx, const Entry& image) override;
  Status Finish(const Context&) override { return OkStatus(); }

  // Of the registry itself: whether it takes the host's credential.
  static Status CheckLogin(const Context& ctx, const HttpClient& http,
                           const RegistryHost& host);

 private:
  StatusOr<HttpResponse> SendAnywhere(const Context& ctx, HttpRequest request);
  StatusOr<HttpResponse> Send(const Context& ctx, HttpRequest request);
  StatusOr<bool> HasBlob(const Context& ctx, const Descriptor& blob);
  // Where to send the blob; empty: the registry has it now.
  StatusOr<std::string> BeginUpload(const Context& ctx, const Descriptor& blob);
  Status Upload(const Context& ctx, const Descriptor& blob, ByteSource& bytes,
                std::string location);
  StatusOr<std::string> SendPiece(const Context& ctx,
                                  const std::string& location, uint64_t offset,
                                  std::string piece);
  void Report(const Descriptor& blob, PushProgress::State state,
              uint64_t current = 0, const std::string& from = "");

  const HttpClient& http_;
  const std::string path_;  // of the repository
  RegistryHost host_;
  std::vector<std::string> sources_;  // paths, of the same registry
  const PushFunction progress_;
  Authorizer authorizer_;
};

}  // namespace berth::image

#endif  // IMAGE_REGISTRY_REGISTRY_PUSHER_H_
