#include "docker/convert/log_tag.h"

#include <optional>
#include <string_view>

#include "base/strings.h"

namespace berth::docker {
namespace {

constexpr size_t kShortId = 12;

std::string Short(const std::string& id) {
  const size_t colon = id.find(':');
  return id.substr(colon == std::string::npos ? 0 : colon + 1, kShortId);
}

std::optional<std::string> Value(std::string_view field,
                                 const LogTagFields& fields) {
  if (field == ".ID") return Short(fields.id);
  if (field == ".FullID") return fields.id;
  if (field == ".Name") return fields.name;
  if (field == ".FullName") return "/" + fields.name;
  if (field == ".ImageID") return Short(fields.image_id);
  if (field == ".ImageFullID") return fields.image_id;
  if (field == ".ImageName") return fields.image_name;
  if (field == ".DaemonName") return "docker";
  return std::nullopt;
}

StatusOr<std::string> Render(std::string_view rest,
                             const LogTagFields& fields) {
  std::string text;
  while (true) {
    const size_t begin = rest.find("{{");
    text += rest.substr(0, begin);
    if (begin == std::string_view::npos) return text;
    const size_t end = rest.find("}}", begin);
    if (end == std::string_view::npos) {
      return InvalidArgument("log tag: an action is not closed");
    }
    const std::string_view field =
        Trim(rest.substr(begin + 2, end - begin - 2));
    const std::optional<std::string> value = Value(field, fields);
    if (!value.has_value()) {
      return InvalidArgument("log tag: " + Quoted(field) +
                             " is no field of a container");
    }
    text += *value;
    rest.remove_prefix(end + 2);
  }
}

}  // namespace

Status CheckLogTag(const std::string& text) {
  return Render(text, LogTagFields()).status();
}

std::string RenderLogTag(const std::string& text, const LogTagFields& fields) {
  const StatusOr<std::string> rendered = Render(text, fields);
  return rendered.ok() ? *rendered : text;
}

}  // namespace berth::docker
