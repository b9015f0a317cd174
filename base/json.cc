#include "base/json.h"

#include <limits>
#include <utility>

#include "base/strings.h"

namespace berth {
namespace {

constexpr int kMaxDepth = 128;

const Json::array_t& EmptyArray() {
  static const auto* const empty = new Json::array_t;
  return *empty;
}

}  // namespace

StatusOr<Json> ParseJson(std::string_view text, const std::string& what) {
  bool too_deep = false;
  const auto watch_depth = [&](int depth, Json::parse_event_t, Json&) {
    if (depth > kMaxDepth) too_deep = true;
    return !too_deep;
  };
  // The library recurses when it destroys, so depth is bounded while parsing.
  Json json = Json::parse(text.begin(), text.end(), watch_depth,
                          /*allow_exceptions=*/false);
  if (too_deep) return InvalidArgument(what + " nests too deeply");
  if (json.is_discarded()) return InvalidArgument(what + " is not JSON");
  return json;
}

std::string DumpJson(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

JsonReader::JsonReader(const Json& json, std::string path)
    : json_(json), path_(std::move(path)) {
  if (!json.is_object()) {
    status_ = InvalidArgument(path_ + " is not an object");
  }
}

std::string JsonReader::PathOf(const std::string& member) const {
  return path_.empty() ? member : path_ + "." + member;
}

void JsonReader::Fail(const std::string& member, const std::string& why) {
  if (status_.ok()) status_ = InvalidArgument(PathOf(member) + " " + why);
}

bool JsonReader::Has(const char* member) const {
  return Find(member) != nullptr;
}

const Json* JsonReader::Find(const char* member) const {
  if (!json_.is_object()) return nullptr;
  const auto it = json_.find(member);
  if (it == json_.end() || it->is_null()) return nullptr;
  return &*it;
}

const Json::array_t& JsonReader::Array(const char* member) {
  const Json* const found = Find(member);
  if (found == nullptr) return EmptyArray();
  if (!found->is_array()) {
    Fail(member, "is not an array");
    return EmptyArray();
  }
  return found->get_ref<const Json::array_t&>();
}

void JsonReader::Get(const char* member, std::string& target) {
  const Json* const found = Find(member);
  if (found == nullptr) return;
  if (!found->is_string()) return Fail(member, "is not a string");
  target = found->get_ref<const std::string&>();
}

void JsonReader::Get(const char* member, bool& target) {
  const Json* const found = Find(member);
  if (found == nullptr) return;
  if (!found->is_boolean()) return Fail(member, "is not true or false");
  target = found->get<bool>();
}

void JsonReader::Signed(const char* member, int64_t low, int64_t high,
                        int64_t& target) {
  const Json* const found = Find(member);
  if (found == nullptr) return;
  if (!found->is_number_integer()) return Fail(member, "is not an integer");
  if (found->is_number_unsigned() &&
      found->get<uint64_t>() > static_cast<uint64_t>(high)) {
    return Fail(member, "is out of range");
  }
  const auto value = found->get<int64_t>();
  if (value < low || value > high) return Fail(member, "is out of range");
  target = value;
}

void JsonReader::Unsigned(const char* member, uint64_t high, uint64_t& target) {
  const Json* const found = Find(member);
  if (found == nullptr) return;
  if (!found->is_number_unsigned()) {
    return Fail(member, "is not a non-negative integer");
  }
  const auto value = found->get<uint64_t>();
  if (value > high) return Fail(member, "is out of range");
  target = value;
}

void JsonReader::Get(const char* member, int64_t& target) {
  Signed(member, std::numeric_limits<int64_t>::min(),
         std::numeric_limits<int64_t>::max(), target);
}

void JsonReader::Get(const char* member, uint64_t& target) {
  Unsigned(member, std::numeric_limits<uint64_t>::max(), target);
}

void JsonReader::Get(const char* member, int32_t& target) {
  int64_t value = target;
  Signed(member, std::numeric_limits<int32_t>::min(),
         std::numeric_limits<int32_t>::max(), value);
  target = static_cast<int32_t>(value);
}

void JsonReader::Get(const char* member, uint32_t& target) {
  uint64_t value = target;
  Unsigned(member, std::numeric_limits<uint32_t>::max(), value);
  target = static_cast<uint32_t>(value);
}

void JsonReader::Get(const char* member, std::vector<std::string>& target) {
  const Json* const found = Find(member);
  if (found == nullptr) return;
  std::vector<std::string> values;
  for (const Json& element : Array(member)) {
    if (!element.is_string()) return Fail(member, "is not a list of strings");
    values.push_back(element.get<std::string>());
  }
  if (status_.ok()) target = std::move(values);
}

void JsonReader::Get(const char* member,
                     std::map<std::string, std::string>& target) {
  const Json* const found = Find(member);
  if (found == nullptr) return;
  if (!found->is_object()) return Fail(member, "is not an object");
  std::map<std::string, std::string> values;
  for (const auto& [key, value] : found->items()) {
    if (!value.is_string()) return Fail(member, "is not a map of strings");
    values[key] = value.get<std::string>();
  }
  target = std::move(values);
}

}  // namespace berth
