#include "image/reference.h"

#include <algorithm>
#include <optional>

#include "base/strings.h"

namespace berth::image {
namespace {

constexpr std::string_view kDefaultDomain = "docker.io";
constexpr std::string_view kLegacyDefaultDomain = "index.docker.io";
constexpr std::string_view kOfficial = "library/";
constexpr size_t kMaxName = 255;
constexpr size_t kMaxTag = 128;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsAlnum(char c) { return IsDigit(c) || IsLower(c) || IsUpper(c); }
bool IsLowerAlnum(char c) { return IsDigit(c) || IsLower(c); }
bool IsHexDigit(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f'); }

bool IsHexId(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), IsHexDigit);
}

// Letters and digits, and hyphens between them.
bool IsHostLabel(std::string_view label) {
  return !label.empty() && IsAlnum(label.front()) && IsAlnum(label.back()) &&
         std::all_of(label.begin(), label.end(),
                     [](char c) { return IsAlnum(c) || c == '-'; });
}

bool IsPort(std::string_view port) {
  const std::optional<uint64_t> number = ParseUint(port);
  return number && *number > 0 && *number <= 65535 && IsDigit(port.front());
}

bool IsDomain(std::string_view domain) {
  if (StartsWith(domain, "[")) {
    const size_t close = domain.find(']');
    if (close == std::string_view::npos || close < 3) return false;
    const std::string_view address = domain.substr(1, close - 1);
    if (address.find(':') == std::string_view::npos ||
        !std::all_of(address.begin(), address.end(), [](char c) {
          return IsHexDigit(c) || c == ':' || (c >= 'A' && c <= 'F');
        })) {
      return false;
    }
    const std::string_view rest = domain.substr(close + 1);
    return rest.empty() || (rest.front() == ':' && IsPort(rest.substr(1)));
  }
  const size_t colon = domain.find(':');
  if (colon != std::string_view::npos && !IsPort(domain.substr(colon + 1))) {
    return false;
  }
  const std::vector<std::string> labels = Split(domain.substr(0, colon), '.');
  return !labels.empty() &&
         std::all_of(labels.begin(), labels.end(), IsHostLabel);
}

// Lower-case letters and digits; between them one '.', one or two '_', or any
// number of '-'.
bool IsPathComponent(std::string_view text) {
  if (text.empty() || !IsLowerAlnum(text.front()) ||
      !IsLowerAlnum(text.back())) {
    return false;
  }
  for (size_t at = 0; at < text.size();) {
    if (IsLowerAlnum(text[at])) {
      ++at;
      continue;
    }
    const char separator = text[at];
    size_t end = at;
    while (end < text.size() && text[end] == separator) ++end;
    const size_t most = separator == '.'   ? 1
                        : separator == '_' ? 2
                        : separator == '-' ? kMaxName
                                           : 0;
    // What follows a separator must be a letter or digit again.
    if (end - at > most || !IsLowerAlnum(text[end])) return false;
    at = end;
  }
  return true;
}

bool IsPath(std::string_view path) {
  const std::vector<std::string> parts = Split(path, '/');
  return !parts.empty() && path.size() <= kMaxName &&
         std::all_of(parts.begin(), parts.end(), IsPathComponent);
}

bool IsTag(std::string_view tag) {
  return !tag.empty() && tag.size() <= kMaxTag &&
         (IsAlnum(tag.front()) || tag.front() == '_') &&
         std::all_of(tag.begin(), tag.end(), [](char c) {
           return IsAlnum(c) || c == '_' || c == '.' || c == '-';
         });
}

bool LooksLikeDomain(std::string_view first) {
  return first == "localhost" ||
         first.find_first_of(".:") != std::string_view::npos ||
         std::any_of(first.begin(), first.end(), IsUpper);
}

Status Bad(std::string_view text, const std::string& why) {
  return InvalidArgument("image reference " + Quoted(text.substr(0, 300)) +
                         ": " + why);
}

}  // namespace

StatusOr<Reference> Reference::Parse(std::string_view text) {
  Reference reference;
  std::string_view rest = text;
  if (const size_t at = rest.find('@'); at != std::string_view::npos) {
    const StatusOr<Digest> digest = Digest::Parse(rest.substr(at + 1));
    if (!digest.ok()) return Bad(text, "bad digest");
    reference.digest_ = *digest;
    rest = rest.substr(0, at);
  }
  std::string_view domain;
  if (const size_t slash = rest.find('/');
      slash != std::string_view::npos &&
      LooksLikeDomain(rest.substr(0, slash))) {
    domain = rest.substr(0, slash);
    rest = rest.substr(slash + 1);
  }
  if (const size_t colon = rest.rfind(':'); colon != std::string_view::npos) {
    reference.tag_ = std::string(rest.substr(colon + 1));
    rest = rest.substr(0, colon);
    if (!IsTag(reference.tag_)) return Bad(text, "bad tag");
  }
  if (domain.empty() && IsHexId(rest)) return Bad(text, "this is an id");
  if (!domain.empty() && !IsDomain(domain)) return Bad(text, "bad host");
  if (domain.empty() || domain == kLegacyDefaultDomain) domain = kDefaultDomain;
  reference.domain_ = std::string(domain);
  reference.path_ = std::string(rest);
  if (domain == kDefaultDomain && rest.find('/') == std::string_view::npos) {
    reference.path_ = std::string(kOfficial) + reference.path_;
  }
  if (!IsPath(reference.path_)) return Bad(text, "bad name");
  if (reference.tag_.empty() && !reference.has_digest()) {
    reference.tag_ = "latest";
  }
  return reference;
}

std::string Reference::str() const {
  return has_digest() ? WithDigest(digest_) : name() + ":" + tag_;
}

std::string Reference::Familiar() const {
  const std::string whole = str();
  const std::string domain = std::string(kDefaultDomain) + "/";
  if (!StartsWith(whole, domain)) return whole;
  const std::string path = whole.substr(domain.size());
  // Not where the shorter form would be another image's: docker.io/a.b/c and
  // docker.io/library/a/b.
  for (const std::string& text :
       {StartsWith(path, kOfficial) ? path.substr(kOfficial.size()) : path,
        path}) {
    const StatusOr<Reference> again = Parse(text);
    if (again.ok() && again->name() == name()) return text;
  }
  return whole;
}

std::string Reference::Selector() const {
  return has_digest() ? digest_.str() : tag_;
}

std::string Reference::WithDigest(const Digest& digest) const {
  return name() + "@" + digest.str();
}

Digest ParseImageId(std::string_view text) {
  const std::string full =
      IsHexId(text) ? "sha256:" + std::string(text) : std::string(text);
  const StatusOr<Digest> digest = Digest::Parse(full);
  return digest.ok() ? *digest : Digest();
}

}  // namespace berth::image
