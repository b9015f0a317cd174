#include "docker/convert/request_path.h"

#include "base/http/http_client.h"
#include "base/strings.h"

namespace berth::docker {

std::string CleanPath(const std::string& path) {
  std::vector<std::string> parts;
  for (const std::string& part : Split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  const bool folder = !parts.empty() && EndsWith(path, "/");
  return "/" + Join(parts, "/") + (folder ? "/" : "");
}

std::string TargetText(
    const std::string& path,
    const std::map<std::string, std::vector<std::string>, std::less<>>& query) {
  std::string text;
  for (const std::string& part : Split(path.substr(1), '/')) {
    text += "/" + UrlEncode(part);
  }
  if (text.empty()) text = "/";
  char before = '?';
  for (const auto& [name, values] : query) {
    for (const std::string& value : values) {
      text += before + UrlEncode(name) + "=" + UrlEncode(value);
      before = '&';
    }
  }
  return text;
}

}  // namespace berth::docker
