#include "image/registry/credentials.h"

#include "base/base64.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/sys/file.h"

namespace berth::image {
namespace {

constexpr uint64_t kMaxFile = 1 << 20;
// docker.io has had several names.
constexpr std::string_view kDockerHosts[] = {"docker.io", "index.docker.io",
                                             "registry-1.docker.io"};

}  // namespace

bool SameRegistry(const std::string& a, const std::string& b) {
  const auto canonical = [](const std::string& host) {
    const std::string lower = Lower(host);
    for (const std::string_view name : kDockerHosts) {
      if (lower == name) return std::string(kDockerHosts[0]);
    }
    return lower;
  };
  return canonical(a) == canonical(b);
}

std::string HostOfServerAddress(const std::string& address) {
  std::string host = address;
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (StartsWith(host, scheme)) host = host.substr(scheme.size());
  }
  return host.substr(0, host.find('/'));
}

StatusOr<Credential> CredentialFrom(const RegistryAuth& auth,
                                    const std::string& domain) {
  Credential credential;
  if (!auth.server_address.empty() &&
      !SameRegistry(HostOfServerAddress(auth.server_address), domain)) {
    return credential;
  }
  if (!auth.registry_token.empty()) {
    credential.registry_token = auth.registry_token;
    return credential;
  }
  if (!auth.identity_token.empty()) {
    credential.identity_token = auth.identity_token;
    return credential;
  }
  credential.username = auth.username;
  credential.password = auth.password;
  if (credential.username.empty() && !auth.auth.empty()) {
    const StatusOr<std::string> pair = Base64Decode(auth.auth);
    const size_t colon = pair.ok() ? pair->find(':') : std::string::npos;
    if (colon == std::string::npos) {
      return InvalidArgument(
          "registry credential \"auth\" is not base64 of "
          "\"user:password\"");
    }
    credential.username = pair->substr(0, colon);
    credential.password = pair->substr(colon + 1);
    // Some writers keep the end of a C string.
    credential.password.resize(credential.password.find_last_not_of('\0') + 1);
  }
  if (credential.username == "<token>") {
    credential.identity_token = credential.password;
    credential.username.clear();
    credential.password.clear();
  }
  return credential;
}

StatusOr<CredentialFile> CredentialFile::Load(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxFile));
  StatusOr<CredentialFile> file = Parse(text);
  return file.ok() ? file : Annotate(file.status(), Quoted(path));
}

StatusOr<CredentialFile> CredentialFile::Parse(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(text, "credential file"));
  CredentialFile file;
  JsonReader reader(json, "");
  const Json* const auths = reader.Find("auths");
  RETURN_IF_ERROR(reader.status());
  if (auths == nullptr || !auths->is_object()) return file;
  for (const auto& [name, value] : auths->members()) {
    RegistryAuth auth;
    JsonReader entry(value, "auths." + name);
    entry.Get("auth", auth.auth);
    entry.Get("username", auth.username);
    entry.Get("password", auth.password);
    entry.Get("identitytoken", auth.identity_token);
    entry.Get("registrytoken", auth.registry_token);
    RETURN_IF_ERROR(entry.status());
    std::string key = name;
    const std::string host = HostOfServerAddress(key);
    // "https://index.docker.io/v1/" and its like name a host, not a path.
    if (StartsWith(key, "http")) key = host;
    while (EndsWith(key, "/")) key.pop_back();
    file.entries_[key] = auth;
  }
  return file;
}

StatusOr<Credential> CredentialFile::Find(const std::string& host,
                                          const std::string& path) const {
  const RegistryAuth* best = nullptr;
  size_t best_length = 0;
  const std::string name = host + "/" + path;
  for (const auto& [key, auth] : entries_) {
    const bool matches =
        SameRegistry(key, host) || key == name || StartsWith(name, key + "/");
    if (matches && key.size() >= best_length) {
      best = &auth;
      best_length = key.size();
    }
  }
  if (best == nullptr) return Credential();
  return CredentialFrom(*best, host);
}

}  // namespace berth::image
