#ifndef IMAGE_REGISTRY_REGISTRY_CLIENT_H_
#define IMAGE_REGISTRY_REGISTRY_CLIENT_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/context.h"
#include "base/http/http_client.h"
#include "base/mutex.h"
#include "base/status.h"
#include "image/content/content_store.h"
#include "image/manifest.h"
#include "image/reference.h"
#include "image/registry/authorizer.h"
#include "image/registry/host_rounds.h"
#include "image/registry/mirrors.h"
#include "image/transfer/image_source.h"

namespace berth::image {

// The pull side of the OCI distribution API for one repository, over all hosts
// that may have it, in their order.
//
// Bytes are checked against the digest that they were asked by, so that a
// mirror can withhold but not forge; only what a tag means is its word. Who is
// asked when, and how often: AskHosts. Errors: NOT_FOUND is about the image or
// blob alone; UNAUTHENTICATED, PERMISSION_DENIED, FAILED_PRECONDITION,
// UNAVAILABLE (too many requests, too), DATA_LOSS, and RESOURCE_EXHAUSTED for
// our own disk. Thread-safe.
class RegistryClient : public ImageSource {
 public:
  // `http` must outlive it.
  RegistryClient(const HttpClient& http, const Reference& reference,
                 std::vector<RegistryHost> hosts, RetryPolicy policy = {});

  // Documents that are here; an error for others. With them Resolve first asks
  // by HEAD what a tag means: registries bound how often one may GET it.
  // Before the first request.
  using Known = std::function<StatusOr<std::string>(const Digest& digest)>;
  void set_known(Known known) { known_ = std::move(known); }

  StatusOr<Fetched> Resolve(const Context& ctx) override;
  bool IsLasting() const override { return true; }
  std::string Origin() const override { return reference_.domain(); }
  StatusOr<Fetched> FetchManifest(const Context& ctx,
                                  const Descriptor& descriptor) override;
  Status FetchBlob(const Context& ctx, const Descriptor& descriptor,
                   ContentStore& store,
                   const std::function<void(uint64_t)>& progress) override;
  // All tags of the repository, sorted; RESOURCE_EXHAUSTED for more than
  // 10,000.
  StatusOr<std::vector<std::string>> ListTags(const Context& ctx);

 private:
  struct BlobFetch;

  RegistryHost HostAt(size_t index) const;
  // The order to try them in: the one that answered last time first.
  std::vector<size_t> Order(bool to_resolve) const;
  StatusOr<Fetched> GetFromAny(const Context& ctx, const Descriptor& wanted,
                               const std::string& selector, bool to_resolve);
  // From a host's word on a tag and what is here. Nothing: a GET has to say it.
  std::optional<Attempt> FindKnown(const Context& ctx, size_t index,
                                   const std::string& selector,
                                   HttpRequest request,
                                   StatusOr<Fetched>& fetched);
  Attempt TagsAt(const Context& ctx, size_t index,
                 std::vector<std::string>& tags);
  Attempt FetchBlobFrom(const Context& ctx, size_t index, BlobFetch& fetch);
  // One request for what is missing of the blob.
  Attempt ReadBlob(const Context& ctx, size_t index, BlobFetch& fetch);

  // A good response, or what its lack means.
  struct Answer {
    Attempt attempt;
    HttpResponse response;
    int http_status = 0;  // 0: there was no response
  };
  Answer Send(const Context& ctx, size_t index, const std::string& path,
              const HttpRequest& request, const BodySink* sink);
  // Answers challenges.
  StatusOr<HttpResponse> SendTo(const Context& ctx, const RegistryHost& host,
                                const std::string& path, HttpRequest request,
                                const BodySink* sink);

  const HttpClient& http_;
  const Reference reference_;
  const RetryPolicy policy_;
  Known known_;
  Authorizer authorizer_;
  mutable Mutex mutex_;
  std::vector<RegistryHost> hosts_ GUARDED_BY(mutex_);
  size_t preferred_ GUARDED_BY(mutex_) = 0;
};

}  // namespace berth::image

#endif  // IMAGE_REGISTRY_REGISTRY_CLIENT_H_
