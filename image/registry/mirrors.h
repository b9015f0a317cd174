#ifndef IMAGE_REGISTRY_MIRRORS_H_
#define IMAGE_REGISTRY_MIRRORS_H_

#include <string>
#include <utility>
#include <vector>

#include "base/http/http_client.h"
#include "base/status.h"
#include "image/reference.h"
#include "image/registry/credentials.h"

namespace berth::image {

// One server that may have a registry's content, and how to talk to it.
struct RegistryHost {
  std::string api;  // "https://host[:port]/v2", without a slash at the end
  bool is_upstream = true;  // the registry itself, not a mirror
  Credential credential;    // who we are to it; Mirrors sets none
  bool can_pull = true;
  bool can_resolve = true;
  bool can_push = true;
  TlsOptions tls;
  std::vector<std::pair<std::string, std::string>> headers;
  Duration dial_timeout = std::chrono::seconds(30);
  // A loopback registry without configuration: http if it speaks no TLS.
  bool try_plain_http = false;

  // Of `api`: "host[:port]".
  std::string server() const { return HostOfServerAddress(api); }
  // Whether secrets may cross this connection.
  bool insecure() const { return api.compare(0, 7, "http://") == 0; }
};

// Where to ask for an image: folders in the form of containerd's certs.d,
// DIR/<host>/hosts.toml, with DIR/_default for all others; or, without a
// hosts.toml, the certificates that Docker puts there (*.crt, *.cert, *.key).
// Read at every pull. Thread-safe.
class Mirrors {
 public:
  // An empty directory name: no configuration. `plain_http`: registries
  // ("host[:port]") that are asked over http if they have no configuration.
  explicit Mirrors(std::string directory,
                   std::vector<std::string> plain_http = {})
      : directory_(std::move(directory)), plain_http_(std::move(plain_http)) {}

  // In the order to be tried; the registry itself is the last, unless a section
  // of the file describes it: wherever it stands, it is the registry. A file
  // that cannot be understood is INVALID_ARGUMENT with its line: it is never
  // passed over.
  StatusOr<std::vector<RegistryHost>> HostsFor(const std::string& domain) const;

  // The contents of one hosts.toml in `folder`.
  static StatusOr<std::vector<RegistryHost>> Parse(const std::string& text,
                                                   const std::string& folder,
                                                   const std::string& domain);

 private:
  const std::string directory_;
  const std::vector<std::string> plain_http_;
};

// Who we are to `host` for a pull of `reference`. To the registry: what the
// request says, else the file. To a mirror: either, if it names the mirror.
StatusOr<Credential> CredentialFor(const RegistryHost& host,
                                   const Reference& reference,
                                   const RegistryAuth& auth,
                                   const CredentialFile& file);

}  // namespace berth::image

#endif  // IMAGE_REGISTRY_MIRRORS_H_
