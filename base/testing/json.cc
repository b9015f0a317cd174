#include "base/testing/json.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "base/strings.h"

namespace berth {
namespace {

// "/a/b/c" -> "a", "/b/c".
std::pair<std::string, std::string_view> FirstStep(std::string_view pointer) {
  const size_t end = std::min(pointer.find('/', 1), pointer.size());
  return {std::string(pointer.substr(1, end - 1)), pointer.substr(end)};
}

// Of an array: the index that the step names, if there is such an element.
std::optional<size_t> IndexOf(const Json& array, const std::string& step) {
  const std::optional<uint64_t> index = ParseUint(step);
  if (!index.has_value() || *index >= array.elements().size()) {
    return std::nullopt;
  }
  return *index;
}

}  // namespace

Json Parsed(std::string_view text) {
  StatusOr<Json> json = ParseJson(text, "JSON of a test");
  EXPECT_TRUE(json.ok()) << json.status();
  return json.ok() ? *std::move(json) : Json();
}

Json At(const Json& json, std::string_view pointer) {
  if (pointer.empty()) return json;
  const auto [step, rest] = FirstStep(pointer);
  if (!json.is_array()) {
    const Json* const found = json.Find(step);
    return found == nullptr ? Json() : At(*found, rest);
  }
  const std::optional<size_t> index = IndexOf(json, step);
  return index.has_value() ? At(json.elements()[*index], rest) : Json();
}

Json With(Json json, std::string_view pointer, Json value) {
  if (pointer.empty()) return value;
  const auto [step, rest] = FirstStep(pointer);
  if (!json.is_array()) {
    Json& member = json[step];
    member = With(std::move(member), rest, std::move(value));
    return json;
  }
  Json::Array elements = json.elements();
  const std::optional<size_t> index = IndexOf(json, step);
  EXPECT_TRUE(index.has_value()) << "no element " << step;
  if (!index.has_value()) return json;
  elements[*index] = With(elements[*index], rest, std::move(value));
  return elements;
}

}  // namespace berth
