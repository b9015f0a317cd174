#include <arpa/inet.h>
#include <curl/curl.h>

#include <memory>

#include "base/http/http_client.h"
#include "base/strings.h"

namespace berth {
namespace {

using UrlHandle = std::unique_ptr<CURLU, void (*)(CURLU*)>;

UrlHandle NewUrl() { return UrlHandle(curl_url(), curl_url_cleanup); }

std::string Part(CURLU* url, CURLUPart part, unsigned int flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return "";
  std::string copy(text);
  curl_free(text);
  return copy;
}

bool HasControlCharacter(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '\x7f') return true;
  }
  return false;
}

}  // namespace

StatusOr<Url> Url::Parse(const std::string& text) {
  UrlHandle handle = NewUrl();
  if (HasControlCharacter(text) ||
      curl_url_set(handle.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) {
    return InvalidArgument("not an absolute URL: " +
                           Quoted(text.substr(0, text.find('?'))));
  }
  Url url;
  url.scheme = Lower(Part(handle.get(), CURLUPART_SCHEME));
  if (url.scheme != "http" && url.scheme != "https") {
    return InvalidArgument("URL scheme " + Quoted(url.scheme) +
                           " is neither http nor https");
  }
  url.host = Lower(Part(handle.get(), CURLUPART_HOST));
  if (url.host.empty()) return InvalidArgument("URL without a host");
  if (url.host.front() == '[' && url.host.back() == ']') {
    url.host = url.host.substr(1, url.host.size() - 2);
  }
  const std::optional<uint64_t> port =
      ParseUint(Part(handle.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT));
  if (!port || *port == 0 || *port > 65535) {
    return InvalidArgument("URL with a bad port: " + Quoted(url.host));
  }
  url.port = static_cast<uint16_t>(*port);
  url.path = Part(handle.get(), CURLUPART_PATH);
  url.query = Part(handle.get(), CURLUPART_QUERY);
  return url;
}

bool Url::SameServer(const Url& other) const {
  return scheme == other.scheme && host == other.host && port == other.port;
}

std::string Url::Printable() const {
  const bool v6 = host.find(':') != std::string::npos;
  const bool usual = port == (scheme == "https" ? 443 : 80);
  return scheme + "://" + (v6 ? "[" + host + "]" : host) +
         (usual ? "" : ":" + std::to_string(port)) + path;
}

StatusOr<std::string> ResolveUrl(const std::string& base,
                                 const std::string& reference) {
  if (HasControlCharacter(reference)) {
    return InvalidArgument("link with a control character");
  }
  UrlHandle handle = NewUrl();
  // Set twice: the second is taken relative to the first.
  if (curl_url_set(handle.get(), CURLUPART_URL, base.c_str(), 0) != CURLUE_OK ||
      curl_url_set(handle.get(), CURLUPART_URL, reference.c_str(),
                   CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK) {
    return InvalidArgument("cannot resolve link " +
                           Quoted(reference.substr(0, reference.find('?'))));
  }
  return Part(handle.get(), CURLUPART_URL);
}

std::string UrlEncode(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       (c >= '0' && c <= '9') || c == '-' || c == '.' ||
                       c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

std::optional<time_t> HttpDate(const std::string& text) {
  const time_t date = curl_getdate(text.c_str(), nullptr);
  return date < 0 ? std::nullopt : std::optional<time_t>(date);
}

bool IsLoopback(std::string_view host) {
  const std::string text(host);
  if (Lower(text) == "localhost") return true;
  in_addr v4;
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) {
    return (ntohl(v4.s_addr) >> 24) == 127;
  }
  in6_addr v6;
  return inet_pton(AF_INET6, text.c_str(), &v6) == 1 &&
         IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace berth
