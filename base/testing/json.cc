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

// Of an array: the index that the step names, if it is below `end`.
std::optional<size_t> IndexOf(const std::string& step, size_t end) {
  const std::optional<uint64_t> index = ParseUint(step);
  if (!index.has_value() || *index >= end) return std::nullopt;
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
  const std::optional<size_t> index = IndexOf(step, json.size());
  return index.has_value() ? At(json.elements()[*index], rest) : Json();
}

Json With(Json json, std::string_view pointer, Json value) {
  if (pointer.empty()) return value;
  const auto [step, rest] = FirstStep(pointer);
  if (json.is_null() && step == "0") json = Json::array();
  if (!json.is_array()) {
    Json& member = json[step];
    member = With(std::move(member), rest, std::move(value));
    return json;
  }
  Json::Array elements = json.elements();
  const std::optional<size_t> index = IndexOf(step, elements.size() + 1);
  EXPECT_TRUE(index.has_value()) << "no element " << step;
  if (!index.has_value()) return json;
  if (*index == elements.size()) elements.emplace_back();
  elements[*index] = With(elements[*index], rest, std::move(value));
  return elements;
}

}  // namespace berth
