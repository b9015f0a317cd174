// Who we are to a registry.
//
// A credential is for one host. A mirror gets one only if the request names its
// server, or the credential file has an entry for it: what is for the registry
// is none of a mirror's business.
#ifndef IMAGE_REGISTRY_CREDENTIALS_H_
#define IMAGE_REGISTRY_CREDENTIALS_H_

#include <map>
#include <string>

#include "base/status.h"

namespace berth::image {

// What comes with a request: CRI's AuthConfig, Docker's X-Registry-Auth.
struct RegistryAuth {
  std::string username;
  std::string password;
  std::string auth;  // base64 of "user:password"
  std::string server_address;
  std::string identity_token;
  std::string registry_token;
};

// The same, made plain. At most one of the three is set.
struct Credential {
  std::string username;
  std::string password;
  std::string identity_token;  // exchanged for a bearer token
  std::string registry_token;  // is a bearer token

  bool has_password() const { return !username.empty(); }
  bool empty() const {
    return username.empty() && identity_token.empty() && registry_token.empty();
  }
};

// The credential that `auth` has for a registry ("host[:port]"): none if it
// names another server. INVALID_ARGUMENT for an `auth` that cannot be decoded.
// The more specific wins: registry token, identity token, password.
// White space inside of base64 is passed over: long tokens come wrapped.
StatusOr<Credential> CredentialFrom(const RegistryAuth& auth,
                                    const std::string& domain);

// A credential file in Docker's form ("auths"). Credential helpers, which are
// programs, are not run. Immutable, thread-safe.
class CredentialFile {
 public:
  // Without entries.
  CredentialFile() = default;
  static StatusOr<CredentialFile> Load(const std::string& path);
  static StatusOr<CredentialFile> Parse(std::string_view json);

  // By the longest entry that is a prefix of "host[:port]/path".
  StatusOr<Credential> Find(const std::string& host,
                            const std::string& path) const;

 private:
  std::map<std::string, RegistryAuth> entries_;
};

// Whether two "host[:port]" are one registry: docker.io has several names.
bool SameRegistry(const std::string& a, const std::string& b);

// Of a URL, or of what is written in its place: the "host[:port]".
std::string HostOfServerAddress(const std::string& address);

}  // namespace berth::image

#endif  // IMAGE_REGISTRY_CREDENTIALS_H_
