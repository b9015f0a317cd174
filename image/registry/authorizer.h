#ifndef IMAGE_REGISTRY_AUTHORIZER_H_
#define IMAGE_REGISTRY_AUTHORIZER_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/context.h"
#include "base/http/http_client.h"
#include "base/keyed_mutex.h"
#include "base/mutex.h"
#include "base/status.h"
#include "image/registry/credentials.h"
#include "image/registry/mirrors.h"

namespace berth::image {

// One entry of a WWW-Authenticate header (RFC 9110, 11.6.1).
struct Challenge {
  std::string scheme;                             // lower case
  std::map<std::string, std::string> parameters;  // names in lower case
};
// Malformed parts are left out.
std::vector<Challenge> ParseChallenges(std::string_view header);

// Answers a registry's challenges for one pull: with a token from the server
// that the challenge names (docker's token specification; OAuth 2 where the
// server has it), or with the password itself.
//
// A host's secrets go to that host and to its token server, and never from
// https to http. They do not appear in errors. Thread-safe; those who need a
// token wait for the one that fetches it, until their context ends.
class Authorizer {
 public:
  // `http` must outlive it. `scope`: "repository:NAME:pull", or several with
  // blanks between them.
  Authorizer(const HttpClient& http, std::string scope)
      : http_(http), scope_(std::move(scope)) {}

  // The Authorization header to send to a host; empty: none.
  std::string HeaderFor(const RegistryHost& host);
  // After a 401: gets what it asks for. `used` is the header that was refused;
  // UNAUTHENTICATED if there is nothing better to offer.
  Status Answer(const Context& ctx, const RegistryHost& host,
                const HttpResponse& refusal, const std::string& used);

 private:
  StatusOr<std::string> FetchToken(const Context& ctx, const RegistryHost& host,
                                   const Challenge& challenge);
  StatusOr<HttpResponse> AskByPost(const Context& ctx, HttpRequest request,
                                   const std::string& service,
                                   const Credential& credential);
  // What to send in place of `used`.
  StatusOr<std::string> NewHeader(const Context& ctx, const RegistryHost& host,
                                  const HttpResponse& refusal,
                                  const std::string& used);

  const HttpClient& http_;
  const std::string scope_;
  KeyedMutex fetching_;  // by api
  Mutex mutex_;
  std::map<std::string, std::string> headers_ GUARDED_BY(mutex_);  // by api
};

}  // namespace berth::image

#endif  // IMAGE_REGISTRY_AUTHORIZER_H_
