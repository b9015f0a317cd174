// HTTP and HTTPS requests (libcurl), for registries and their token servers.
#ifndef BASE_HTTP_HTTP_CLIENT_H_
#define BASE_HTTP_HTTP_CLIENT_H_

#include <time.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/context.h"
#include "base/mutex.h"
#include "base/status.h"

namespace berth {

// How a server's certificate is checked, and who we are. Paths of PEM files.
struct TlsOptions {
  std::vector<std::string> ca_files;  // besides the system's
  std::string client_certificate;
  std::string client_key;  // empty: in the certificate's file
  bool skip_verify = false;

  bool operator==(const TlsOptions&) const = default;
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;  // http:// or https://
  // "Authorization", "Cookie" and `tls`'s client certificate go to the host of
  // `url` only, never to another that it redirects to.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  TlsOptions tls;
  // A redirect from https to http is refused unless this is set.
  bool allow_downgrade = false;
  int max_redirects = 10;
  // Of a response body that is kept in memory; more is RESOURCE_EXHAUSTED.
  uint64_t max_body = 4 * 1024 * 1024;
  Duration connect_timeout = std::chrono::seconds(30);
};

// A server that is silent, or dribbles, must not keep its callers: a transfer
// that moves fewer than `min_rate` bytes a second, on average over a `window`,
// counts as broken; one whose body has been sent has ten windows until the
// answer begins. Each request of a chain of redirects is a transfer.
struct TransferLimits {
  Duration window = std::chrono::seconds(60);
  uint64_t min_rate = 1024;  // 0: one byte in a window is enough
};

struct HttpResponse {
  int status = 0;
  // Names in lower case, of the last response.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  // The first header of that name (lower case); empty: none.
  std::string Header(std::string_view name) const;
  std::vector<std::string> HeaderAll(std::string_view name) const;
};

// Takes the body of a successful response piece by piece; an error ends the
// transfer and is what Download returns. Called once with no bytes when the
// headers are there, so that it can judge the response before its body.
using BodySink =
    std::function<Status(const HttpResponse& head, std::string_view bytes)>;

// Reuses connections. The environment's proxy variables are honoured, except
// for loopback addresses. Thread-safe.
//
// Errors: CANCELLED and DEADLINE_EXCEEDED from the context; UNAVAILABLE for
// what another try may cure (connect, name lookup, broken or stalled
// transfer, one below the limits, redirects without end); FAILED_PRECONDITION
// when the server's certificate is not trusted or TLS cannot be agreed;
// INVALID_ARGUMENT for a URL or redirect that may not be followed. A response
// of any status is OK here. Messages hold the URL without its query, which may
// be secret.
class HttpClient {
 public:
  explicit HttpClient(std::string user_agent, TransferLimits limits = {});
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // The whole body in memory.
  StatusOr<HttpResponse> Fetch(const Context& ctx,
                               const HttpRequest& request) const;
  // The body of a 2xx response goes to `sink`, of another into the response.
  StatusOr<HttpResponse> Download(const Context& ctx,
                                  const HttpRequest& request,
                                  const BodySink& sink) const;

 private:
  class Transfer;
  class Pool;
  StatusOr<HttpResponse> FollowRedirects(const Context& ctx,
                                         HttpRequest request,
                                         const BodySink* sink) const;

  const std::string user_agent_;
  const TransferLimits limits_;
  const std::unique_ptr<Pool> pool_;
};

// Whether a request to https failed because the server answered in plain text,
// and for no other reason: what a certificate says never leads here.
bool SpeaksNoTls(const Status& status);

// Whether a request failed because no address is known for a host: asking again
// at once brings nothing else.
bool HasUnknownHost(const Status& status);

// The parts of an absolute http or https URL.
struct Url {
  std::string scheme;  // lower case
  std::string host;    // lower case; an IPv6 address without brackets
  uint16_t port = 0;   // the scheme's own if the URL has none
  std::string path;
  std::string query;

  static StatusOr<Url> Parse(const std::string& text);
  // Whether both lead to the same server.
  bool SameServer(const Url& other) const;
  // For messages: no user, password, query or fragment.
  std::string Printable() const;
};

// `reference` as a link in the document at `base` (RFC 3986, section 5).
StatusOr<std::string> ResolveUrl(const std::string& base,
                                 const std::string& reference);
// For a query: everything but unreserved characters becomes %XX.
std::string UrlEncode(std::string_view text);
// An HTTP date as Unix seconds; nothing for anything else.
std::optional<time_t> HttpDate(const std::string& text);
// localhost, 127.0.0.0/8 or ::1.
bool IsLoopback(std::string_view host);

}  // namespace berth

#endif  // BASE_HTTP_HTTP_CLIENT_H_
