#include "sandbox/cdi/yaml.h"

#include <yaml.h>

#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/strings.h"

namespace berth::sandbox {
namespace {

constexpr int kMaxDepth = 64;

std::optional<uint64_t> ParseNumber(std::string_view text) {
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    const bool named = text[1] == 'x' || text[1] == 'o';
    base = text[1] == 'x' ? 16 : 8;
    text.remove_prefix(named ? 2 : 1);
  }
  uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data(), end, number, base);
  if (error != std::errc() || last != end) return std::nullopt;
  return number;
}

Json NumberOr(const std::string& text) {
  if (text == "true" || text == "false") return Json(text == "true");
  if (const auto number = ParseNumber(text)) return Json(*number);
  if (const auto negative = ParseInt(text)) return Json(*negative);
  return Json(text);
}

bool IsNull(const std::string& text) {
  return text.empty() || text == "~" || text == "null" || text == "Null" ||
         text == "NULL";
}

// Makes values of the library's events. The event is the one not yet used.
class Builder {
 public:
  Builder(std::string_view yaml, const std::string& what,
          const std::set<std::string>& numbers)
      : what_(what), numbers_(numbers) {
    ready_ = yaml_parser_initialize(&parser_) != 0;
    if (!ready_) return;
    // It ends the program if it is given no address.
    const char* const bytes = yaml.empty() ? "" : yaml.data();
    yaml_parser_set_input_string(
        &parser_, reinterpret_cast<const unsigned char*>(bytes), yaml.size());
  }
  ~Builder() {
    yaml_event_delete(&event_);
    if (ready_) yaml_parser_delete(&parser_);
  }
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;

  StatusOr<Json> Document() {
    if (!ready_) return ResourceExhausted(what_ + ": no memory");
    RETURN_IF_ERROR(Next());  // the stream
    RETURN_IF_ERROR(Next());
    if (event_.type != YAML_DOCUMENT_START_EVENT) return Wrong("no document");
    RETURN_IF_ERROR(Next());
    ASSIGN_OR_RETURN(Json value, Node(false, 0));
    RETURN_IF_ERROR(Next());  // the document's end
    if (event_.type != YAML_STREAM_END_EVENT) return Wrong("a second document");
    return value;
  }

 private:
  Status Wrong(const std::string& why) const {
    return InvalidArgument(what_ + ": line " +
                           std::to_string(event_.start_mark.line + 1) + ": " +
                           why);
  }

  Status Next() {
    yaml_event_delete(&event_);
    if (yaml_parser_parse(&parser_, &event_) != 0) return OkStatus();
    const char* const why = parser_.problem;
    return InvalidArgument(what_ + ": line " +
                           std::to_string(parser_.problem_mark.line + 1) +
                           ": " + (why != nullptr ? why : "no YAML"));
  }

  // The value that begins with the event; the event is then the one behind it.
  StatusOr<Json> Node(bool number, int depth) {
    if (depth > kMaxDepth) return Wrong("more than 64 levels");
    switch (event_.type) {
      case YAML_SCALAR_EVENT:
        return Scalar(number);
      case YAML_SEQUENCE_START_EVENT:
        return Sequence(number, depth);
      case YAML_MAPPING_START_EVENT:
        return Mapping(depth);
      case YAML_ALIAS_EVENT:
        return Wrong("an alias");
      default:
        return Wrong("no value");
    }
  }

  std::string Text() const {
    return std::string(reinterpret_cast<const char*>(event_.data.scalar.value),
                       event_.data.scalar.length);
  }

  StatusOr<Json> Scalar(bool number) {
    const bool plain = event_.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    const std::string text = Text();
    RETURN_IF_ERROR(Next());
    if (!plain) return Json(text);
    if (IsNull(text)) return Json();
    return number ? NumberOr(text) : Json(text);
  }

  StatusOr<Json> Sequence(bool number, int depth) {
    Json list = Json::array();
    RETURN_IF_ERROR(Next());
    while (event_.type != YAML_SEQUENCE_END_EVENT) {
      ASSIGN_OR_RETURN(Json element, Node(number, depth + 1));
      list.push_back(std::move(element));
    }
    RETURN_IF_ERROR(Next());
    return list;
  }

  StatusOr<Json> Mapping(int depth) {
    Json object = Json::object();
    std::set<std::string> seen;
    RETURN_IF_ERROR(Next());
    while (event_.type != YAML_MAPPING_END_EVENT) {
      if (event_.type != YAML_SCALAR_EVENT) return Wrong("no plain key");
      const std::string key = Text();
      if (!seen.insert(key).second) return Wrong(Quoted(key) + " comes twice");
      RETURN_IF_ERROR(Next());
      ASSIGN_OR_RETURN(object[key], Node(numbers_.count(key) > 0, depth + 1));
    }
    RETURN_IF_ERROR(Next());
    return object;
  }

  const std::string& what_;
  const std::set<std::string>& numbers_;
  bool ready_ = false;
  yaml_parser_t parser_ = {};
  yaml_event_t event_ = {};
};

}  // namespace

StatusOr<Json> ParseYaml(std::string_view yaml, const std::string& what,
                         const std::set<std::string>& numbers) {
  return Builder(yaml, what, numbers).Document();
}

}  // namespace berth::sandbox
