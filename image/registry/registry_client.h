#ifndef IMAGE_REGISTRY_REGISTRY_CLIENT_H_
#define IMAGE_REGISTRY_REGISTRY_CLIENT_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/http/http_client.h"
#include "base/mutex.h"
#include "base/status.h"
#include "image/content/content_store.h"
#include "image/image_source.h"
#include "image/manifest.h"
#include "image/reference.h"
#include "image/registry/authorizer.h"
#include "image/registry/mirrors.h"

namespace berth::image {

// How patient to be with a server that does not answer.
struct RetryPolicy {
  int tries = 5;
  Duration first_delay = std::chrono::milliseconds(500);
  Duration max_delay = std::chrono::seconds(30);
  Duration max_retry_after = std::chrono::seconds(60);
  int max_resumes = 10;  // of one blob
};

// The pull side of the OCI distribution API for one repository, over all hosts
// that may have it, in their order.
//
// Bytes are checked against the digest that they were asked by, so that a
// mirror can withhold but not forge; only what a tag means is its word.
// Transient failures are tried again, then the next host. Errors: NOT_FOUND,
// UNAUTHENTICATED, PERMISSION_DENIED, RESOURCE_EXHAUSTED (too many requests),
// UNAVAILABLE, DATA_LOSS, and those of HttpClient. Thread-safe.
class RegistryClient : public ImageSource {
 public:
  // `http` must outlive it.
  RegistryClient(const HttpClient& http, const Reference& reference,
                 std::vector<RegistryHost> hosts, Credential credential,
                 RetryPolicy policy = {});

  StatusOr<Fetched> Resolve(const Context& ctx) override;
  StatusOr<Fetched> FetchManifest(const Context& ctx,
                                  const Descriptor& descriptor) override;
  Status FetchBlob(const Context& ctx, const Descriptor& descriptor,
                   ContentStore& store,
                   const std::function<void(uint64_t)>& progress) override;

 private:
  RegistryHost HostAt(size_t index) const;
  // The order to try them in: the one that answered last time first.
  std::vector<size_t> Order(bool to_resolve) const;
  StatusOr<Fetched> GetFromAny(const Context& ctx, const Descriptor& wanted,
                               const std::string& selector, bool to_resolve);
  StatusOr<Fetched> GetFrom(const Context& ctx, size_t index,
                            const Descriptor& wanted,
                            const std::string& selector);
  Status FetchBlobFrom(const Context& ctx, size_t index,
                       const Descriptor& descriptor, ContentStore& store,
                       const std::function<void(uint64_t)>& progress);

  // Answers challenges; an unsuccessful response becomes an error.
  StatusOr<HttpResponse> Send(const Context& ctx, size_t index,
                              const std::string& path,
                              const HttpRequest& request, const BodySink* sink,
                              Duration* retry_after);
  StatusOr<HttpResponse> SendTo(const Context& ctx, const RegistryHost& host,
                                const std::string& path, HttpRequest request,
                                const BodySink* sink);
  Status Wait(const Context& ctx, int attempt, Duration retry_after) const;

  const HttpClient& http_;
  const Reference reference_;
  const RetryPolicy policy_;
  Authorizer authorizer_;
  mutable Mutex mutex_;
  std::vector<RegistryHost> hosts_ GUARDED_BY(mutex_);
  size_t preferred_ GUARDED_BY(mutex_) = 0;
};

}  // namespace berth::image

#endif  // IMAGE_REGISTRY_REGISTRY_CLIENT_H_
