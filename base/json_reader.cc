#include <limits>
#include <utility>

#include "base/json.h"
#include "base/strings.h"

namespace berth {
namespace {

// Go's folding, for the ASCII names that APIs have.
bool SameFolded(std::string_view a, std::string_view b) {
  return a.size() == b.size() && Lower(a) == Lower(b);
}

}  // namespace

JsonReader::JsonReader(const Json& json, std::string path, JsonNames names)
    : json_(json), path_(std::move(path)), names_(names) {
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
  const Json* const exact = json_.Find(member);
  if (exact != nullptr || names_ == JsonNames::kExact) return exact;
  for (const auto& [name, value] : json_.members()) {
    if (!value.is_null() && SameFolded(name, member)) return &value;
  }
  return nullptr;
}

const Json::Array& JsonReader::Array(const char* member) {
  const Json* const found = Find(member);
  if (found != nullptr && !found->is_array()) Fail(member, "is not an array");
  return found == nullptr ? Json().elements() : found->elements();
}

const Json::Object& JsonReader::Object(const char* member) {
  const Json* const found = Find(member);
  if (found != nullptr && !found->is_object()) Fail(member, "is not an object");
  return found == nullptr ? Json().members() : found->members();
}

void JsonReader::Get(const char* member, std::string& target) {
  const Json* const found = Find(member);
  if (found == nullptr) return;
  const std::string* const text = found->AsText();
  if (text == nullptr) return Fail(member, "is not a string");
  target = *text;
}

void JsonReader::Get(const char* member, bool& target) {
  const Json* const found = Find(member);
  if (found == nullptr) return;
  const std::optional<bool> value = found->AsBool();
  if (!value.has_value()) return Fail(member, "is not true or false");
  target = *value;
}

void JsonReader::Signed(const char* member, int64_t low, int64_t high,
                        int64_t& target) {
  const Json* const found = Find(member);
  if (found == nullptr) return;
  const std::optional<int64_t> value = found->AsInt();
  if (value.has_value() && *value >= low && *value <= high) {
    target = *value;
    return;
  }
  const bool integer = value.has_value() || found->AsUint().has_value();
  Fail(member, integer ? "is out of range" : "is not an integer");
}

void JsonReader::Unsigned(const char* member, uint64_t high, uint64_t& target) {
  const Json* const found = Find(member);
  if (found == nullptr) return;
  const std::optional<uint64_t> value = found->AsUint();
  if (!value.has_value()) return Fail(member, "is not a non-negative integer");
  if (*value > high) return Fail(member, "is out of range");
  target = *value;
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
  if (!Has(member)) return;
  std::vector<std::string> values;
  for (const Json& element : Array(member)) {
    const std::string* const text = element.AsText();
    if (text == nullptr) return Fail(member, "is not a list of strings");
    values.push_back(*text);
  }
  if (status_.ok()) target = std::move(values);
}

void JsonReader::Get(const char* member,
                     std::map<std::string, std::string>& target) {
  if (!Has(member)) return;
  std::map<std::string, std::string> values;
  for (const auto& [name, value] : Object(member)) {
    const std::string* const text = value.AsText();
    if (text == nullptr) return Fail(member, "is not a map of strings");
    values[name] = *text;
  }
  if (status_.ok()) target = std::move(values);
}

}  // namespace berth
