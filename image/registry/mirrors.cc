#include "image/registry/mirrors.h"

#include <errno.h>
#include <fcntl.h>
#include <glog/logging.h>
#include <sys/stat.h>
#include <toml++/toml.h>

#include <algorithm>
#include <optional>
#include <set>
#include <sstream>

#include "base/strings.h"
#include "base/sys/file.h"
#include "image/registry/toml_text.h"

namespace berth::image {
namespace {

constexpr uint64_t kMaxFile = 1 << 20;

// What docker.io's API is called.
std::string ApiHost(const std::string& domain) {
  return domain == "docker.io" ? "registry-1.docker.io" : domain;
}

RegistryHost Upstream(const std::string& domain) {
  RegistryHost host;
  host.api = "https://" + ApiHost(domain) + "/v2";
  const StatusOr<Url> url = Url::Parse(host.api);
  host.try_plain_http = url.ok() && IsLoopback(url->host);
  return host;
}

// Reads one table of hosts.toml into a host. Errors have the line.
class HostReader {
 public:
  HostReader(const std::string& folder, RegistryHost& host)
      : folder_(folder), host_(host) {}

  Status Read(const toml::table& table) {
    for (const auto& [key, node] : table) {
      RETURN_IF_ERROR(ReadKey(FromAsciiToml(key.str()), node));
    }
    return OkStatus();
  }

 private:
  static Status Bad(const toml::node& node, const std::string& why) {
    return InvalidArgument("line " + std::to_string(node.source().begin.line) +
                           ": " + why);
  }

  std::string Path(const std::string& path) const {
    return StartsWith(path, "/") ? path : folder_ + "/" + path;
  }

  Status ReadKey(const std::string& key, const toml::node& node) {
    if (key == "capabilities") return ReadCapabilities(node);
    if (key == "ca") {
      return Strings(node, key, [&](const std::string& path) {
        host_.tls.ca_files.push_back(Path(path));
      });
    }
    if (key == "client") return ReadClient(node);
    if (key == "header") return ReadHeaders(node);
    if (key == "skip_verify") {
      const std::optional<bool> value = node.value<bool>();
      if (!value) return Bad(node, "skip_verify is not true or false");
      host_.tls.skip_verify = *value;
      return OkStatus();
    }
    if (key == "override_path") {
      const std::optional<bool> value = node.value<bool>();
      if (!value) return Bad(node, "override_path is not true or false");
      return OkStatus();  // ApiOf has seen to it
    }
    if (key == "dial_timeout") return ReadTimeout(node);
    if (key != "server" && key != "host") {
      LOG(WARNING) << folder_ << "/hosts.toml: unknown key " << Quoted(key);
    }
    return OkStatus();
  }

  template <typename Take>
  static Status Strings(const toml::node& node, const std::string& key,
                        const Take& take) {
    if (const auto text = node.value<std::string>()) {
      take(FromAsciiToml(*text));
      return OkStatus();
    }
    const toml::array* const list = node.as_array();
    if (list == nullptr) return Bad(node, key + " is no text or list of texts");
    for (const toml::node& item : *list) {
      const auto text = item.value<std::string>();
      if (!text) return Bad(item, key + " holds something that is no text");
      take(FromAsciiToml(*text));
    }
    return OkStatus();
  }

  Status ReadCapabilities(const toml::node& node) {
    host_.can_pull = host_.can_resolve = host_.can_push = false;
    Status unknown;
    RETURN_IF_ERROR(Strings(node, "capabilities", [&](const std::string& name) {
      if (name == "pull") {
        host_.can_pull = true;
      } else if (name == "resolve") {
        host_.can_resolve = true;
      } else if (name == "push") {
        host_.can_push = true;
      } else {
        unknown = Bad(node, "unknown capability " + Quoted(name));
      }
    }));
    return unknown;
  }

  // A path, paths, or pairs of certificate and key; the first is used.
  Status ReadClient(const toml::node& node) {
    if (const toml::array* const list = node.as_array();
        list != nullptr && !list->empty() && (*list)[0].is_array()) {
      std::vector<std::string> pair;
      RETURN_IF_ERROR(Strings((*list)[0], "client", [&](const std::string& p) {
        pair.push_back(Path(p));
      }));
      if (pair.empty() || pair.size() > 2) {
        return Bad(node, "client is no pair of certificate and key");
      }
      host_.tls.client_certificate = pair[0];
      host_.tls.client_key = pair.size() == 2 ? pair[1] : "";
      return OkStatus();
    }
    std::vector<std::string> paths;
    RETURN_IF_ERROR(Strings(node, "client", [&](const std::string& p) {
      paths.push_back(Path(p));
    }));
    if (!paths.empty()) host_.tls.client_certificate = paths[0];
    return OkStatus();
  }

  Status ReadHeaders(const toml::node& node) {
    const toml::table* const table = node.as_table();
    if (table == nullptr) return Bad(node, "header is no table");
    for (const auto& [name, value] : *table) {
      const std::string header = FromAsciiToml(name.str());
      RETURN_IF_ERROR(Strings(value, header, [&](const std::string& text) {
        host_.headers.emplace_back(header, text);
      }));
    }
    return OkStatus();
  }

  // "30s", "1m30s", "500ms".
  Status ReadTimeout(const toml::node& node) {
    const std::string text = node.value<std::string>().value_or("");
    Duration total(0);
    size_t at = 0;
    while (at < text.size()) {
      size_t digits = at;
      while (digits < text.size() && isdigit(text[digits]) != 0) ++digits;
      size_t unit = digits;
      while (unit < text.size() && isalpha(text[unit]) != 0) ++unit;
      const std::optional<int64_t> n =
          ParseInt(std::string_view(text).substr(at, digits - at));
      const std::string name = text.substr(digits, unit - digits);
      if (!n || *n > 86'400'000) break;
      if (name == "ms") {
        total += std::chrono::milliseconds(*n);
      } else if (name == "s") {
        total += std::chrono::seconds(*n);
      } else if (name == "m") {
        total += std::chrono::minutes(*n);
      } else if (name == "h") {
        total += std::chrono::hours(*n);
      } else {
        break;
      }
      at = unit;
    }
    if (at < text.size() || total.count() <= 0) {
      return Bad(node, "dial_timeout is no duration");
    }
    host_.dial_timeout = total;
    return OkStatus();
  }

  const std::string folder_;
  RegistryHost& host_;
};

// "https://mirror/sub" -> "https://mirror/sub/v2", unless `table` says that the
// path is the API's already.
StatusOr<std::string> ApiOf(const std::string& text, const toml::table& table) {
  std::string full = text;
  if (full.find("://") == std::string::npos) full = "https://" + full;
  ASSIGN_OR_RETURN(const Url url, Url::Parse(full));
  if (url.scheme == "https" && url.host == "docker.io") {
    full = "https://registry-1.docker.io";
  }
  while (EndsWith(full, "/")) full.pop_back();
  const bool whole = table["override_path"].value_or(false);
  return whole || EndsWith(full, "/v2") ? full : full + "/v2";
}

// Whether a section of hosts.toml is about the registry itself: the server that
// the file names, or the host and port that the image's name has. docker.io and
// its API's host are one.
bool IsRegistry(const RegistryHost& section, const RegistryHost& upstream,
                const std::string& domain, bool has_server) {
  const StatusOr<Url> url = Url::Parse(section.api);
  const StatusOr<Url> main = Url::Parse(upstream.api);
  if (!url.ok() || !main.ok()) return false;
  if (url->SameServer(*main)) return true;
  // A name with a port says nothing of the scheme: the section may.
  const bool has_port =
      domain.find(':') != std::string::npos && domain.back() != ']';
  const bool may_be_http = !has_server && has_port && url->scheme == "http";
  const StatusOr<Url> named =
      Url::Parse((may_be_http ? "http://" : "https://") + ApiHost(domain));
  if (named.ok() && url->SameServer(*named)) return true;
  return url->scheme == "https" && SameRegistry(section.server(), domain);
}

// The registry as the root of the file has it, completed by a section about the
// same server.
void Complete(RegistryHost& upstream, const RegistryHost& section) {
  TlsOptions& tls = upstream.tls;
  if (tls == TlsOptions()) tls = section.tls;
  if (upstream.headers.empty()) upstream.headers = section.headers;
  if (upstream.dial_timeout == RegistryHost().dial_timeout) {
    upstream.dial_timeout = section.dial_timeout;
  }
}

StatusOr<std::vector<RegistryHost>> ReadTables(const toml::table& root,
                                               const std::string& folder,
                                               const std::string& domain) {
  // The library sorts by name; the order of the file is what counts.
  std::vector<std::pair<toml::source_index, std::string>> order;
  const toml::table* const hosts = root["host"].as_table();
  if (hosts != nullptr) {
    for (const auto& [name, node] : *hosts) {
      order.emplace_back(node.source().begin.line, std::string(name.str()));
    }
  }
  std::sort(order.begin(), order.end());
  std::vector<RegistryHost> all;
  for (const auto& [line, name] : order) {
    const std::string where = "line " + std::to_string(line);
    RegistryHost host;
    host.is_upstream = false;
    host.can_push = false;
    const toml::table* const table = (*hosts)[name].as_table();
    if (table == nullptr) return InvalidArgument(where + ": host is no table");
    ASSIGN_OR_RETURN_AS(host.api, ApiOf(FromAsciiToml(name), *table), where);
    RETURN_IF_ERROR(HostReader(folder, host).Read(*table));
    all.push_back(std::move(host));
  }
  RegistryHost upstream = Upstream(domain);
  const auto server = root["server"].value<std::string>();
  if (server) {
    ASSIGN_OR_RETURN_AS(upstream.api, ApiOf(FromAsciiToml(*server), root),
                        "server");
    upstream.try_plain_http = false;
  }
  RETURN_IF_ERROR(HostReader(folder, upstream).Read(root));
  bool covered = false;
  for (RegistryHost& section : all) {
    section.is_upstream =
        IsRegistry(section, upstream, domain, server.has_value());
    if (!section.is_upstream) continue;
    if (section.api != upstream.api) continue;
    Complete(upstream, section);
    covered = covered || (section.can_pull && section.can_resolve &&
                          upstream.tls == section.tls);
  }
  if (!covered) all.push_back(std::move(upstream));
  return all;
}

// Docker's convention, for a folder without a hosts.toml.
StatusOr<std::vector<RegistryHost>> ReadCertificates(
    const std::string& folder, const std::string& domain) {
  RegistryHost host = Upstream(domain);
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(folder, O_RDONLY | O_DIRECTORY));
  ASSIGN_OR_RETURN(const std::vector<std::string> names,
                   ListDirectory(fd.get()));
  for (const std::string& name : names) {
    const std::string path = folder + "/" + name;
    if (EndsWith(name, ".crt")) host.tls.ca_files.push_back(path);
    if (EndsWith(name, ".cert") && host.tls.client_certificate.empty()) {
      host.tls.client_certificate = path;
      host.tls.client_key = path.substr(0, path.size() - 5) + ".key";
    }
  }
  return std::vector<RegistryHost>{host};
}

}  // namespace

StatusOr<std::vector<RegistryHost>> Mirrors::Parse(const std::string& text,
                                                   const std::string& folder,
                                                   const std::string& domain) {
  ASSIGN_OR_RETURN(const std::string ascii, AsciiToml(text));
  // Exceptions of the library end here.
  try {
    return ReadTables(toml::parse(ascii), folder, domain);
  } catch (const toml::parse_error& error) {
    return InvalidArgument("line " + std::to_string(error.source().begin.line) +
                           ": " + std::string(error.description()));
  }
}

StatusOr<std::vector<RegistryHost>> Mirrors::HostsFor(
    const std::string& domain) const {
  std::vector<std::string> names;
  const size_t colon = domain.rfind(':');
  if (colon != std::string::npos && domain.back() != ']') {
    std::string underscored = domain;
    underscored[colon] = '_';
    names.push_back(underscored + "_");
  }
  names.push_back(domain);
  names.push_back("_default");
  for (const std::string& name : names) {
    if (directory_.empty()) break;
    const std::string folder = directory_ + "/" + name;
    const std::string file = folder + "/hosts.toml";
    StatusOr<std::string> text = ReadFile(file, kMaxFile);
    if (text.ok()) {
      StatusOr<std::vector<RegistryHost>> hosts = Parse(*text, folder, domain);
      return hosts.ok() ? hosts : Annotate(hosts.status(), file);
    }
    if (ErrnoOf(text.status()) != ENOENT) return text.status();
    struct stat info;
    if (stat(folder.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
      return ReadCertificates(folder, domain);
    }
  }
  RegistryHost host = Upstream(domain);
  if (std::find(plain_http_.begin(), plain_http_.end(), domain) !=
      plain_http_.end()) {
    host.api = "http://" + ApiHost(domain) + "/v2";
    host.try_plain_http = false;
  }
  return std::vector<RegistryHost>{host};
}

StatusOr<Credential> CredentialFor(const RegistryHost& host,
                                   const Reference& reference,
                                   const RegistryAuth& auth,
                                   const CredentialFile& file) {
  const std::string server =
      host.is_upstream ? reference.domain() : host.server();
  if (host.is_upstream || !auth.server_address.empty()) {
    ASSIGN_OR_RETURN(Credential credential, CredentialFrom(auth, server));
    if (!credential.empty()) return credential;
  }
  return file.Find(server, reference.path());
}

}  // namespace berth::image
