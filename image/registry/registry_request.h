#ifndef IMAGE_REGISTRY_REGISTRY_REQUEST_H_
#define IMAGE_REGISTRY_REGISTRY_REQUEST_H_

#include <string>

#include "base/context.h"
#include "base/http/http_client.h"
#include "base/status.h"
#include "image/registry/authorizer.h"
#include "image/registry/mirrors.h"

namespace berth::image {

// Sends a request, whose URL is whole, to a registry's host: with the host's
// certificates, headers and limits, and an answer to its challenges. Without
// `sink` the body comes back in memory. A response of any status is OK.
// Thread-safe.
StatusOr<HttpResponse> SendToRegistry(
    const Context& ctx, const HttpClient& http, Authorizer& authorizer,
    const RegistryHost& host, HttpRequest request, const BodySink* sink);

// Whether another try may bring something else than this status.
bool MayPass(int http_status);

// What a response that is none of success means, in the registry's own words:
// UNAUTHENTICATED, PERMISSION_DENIED, NOT_FOUND, UNAVAILABLE if it may pass,
// else FAILED_PRECONDITION.
Status RegistryError(const HttpResponse& response, const std::string& what);

}  // namespace berth::image

#endif  // IMAGE_REGISTRY_REGISTRY_REQUEST_H_
