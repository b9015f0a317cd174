#include "base/json.h"

#include <algorithm>

namespace berth {
namespace {

template <typename... F>
struct Overloaded : F... {
  using F::operator()...;
};

}  // namespace

Json::Json(std::string text)
    : value_(std::make_unique<std::string>(std::move(text))) {}

Json::Json(Array elements)
    : value_(std::make_unique<Array>(std::move(elements))) {}

Json::Json(Object members)
    : value_(std::make_unique<Object>(std::move(members))) {}

Json::Json(std::initializer_list<Item> items) {
  const bool pairs =
      std::all_of(items.begin(), items.end(), [](const Item& item) {
        const Array& pair = item.value_.elements();
        return pair.size() == 2 && pair[0].is_string();
      });
  if (!pairs) {
    *this = array(items);
    return;
  }
  Object members;
  for (const Item& item : items) {
    Array& pair = *std::get<Box<Array>>(item.value_.value_);
    members.insert_or_assign(
        std::move(*std::get<Box<std::string>>(pair[0].value_)),
        std::move(pair[1]));
  }
  *this = Json(std::move(members));
}

Json Json::array(std::initializer_list<Item> elements) {
  Array array;
  array.reserve(elements.size());
  for (const Item& element : elements) {
    array.push_back(std::move(element.value_));
  }
  return Json(std::move(array));
}

Json::Json(const Json& other)
    : value_(
          std::visit(Overloaded{[]<typename T>(const Box<T>& box) {
                                  return Value(std::make_unique<T>(*box));
                                },
                                [](const auto& plain) { return Value(plain); }},
                     other.value_)) {}

Json& Json::operator=(const Json& other) { return *this = Json(other); }

// `other` may be a part of this.
Json& Json::operator=(Json&& other) noexcept {
  Value value = std::exchange(other.value_, {});
  value_ = std::move(value);
  return *this;
}

bool Json::is_null() const {
  return std::holds_alternative<std::monostate>(value_);
}

bool Json::is_array() const {
  return std::holds_alternative<Box<Array>>(value_);
}

bool Json::is_object() const {
  return std::holds_alternative<Box<Object>>(value_);
}

std::optional<bool> Json::AsBool() const {
  const bool* const value = std::get_if<bool>(&value_);
  return value == nullptr ? std::nullopt : std::optional(*value);
}

std::optional<int64_t> Json::AsInt() const {
  if (const auto* negative = std::get_if<int64_t>(&value_)) return *negative;
  const auto* const value = std::get_if<uint64_t>(&value_);
  if (value == nullptr || *value > INT64_MAX) return std::nullopt;
  return static_cast<int64_t>(*value);
}

std::optional<uint64_t> Json::AsUint() const {
  const auto* const value = std::get_if<uint64_t>(&value_);
  return value == nullptr ? std::nullopt : std::optional(*value);
}

const std::string* Json::AsText() const {
  const auto* const box = std::get_if<Box<std::string>>(&value_);
  return box == nullptr ? nullptr : box->get();
}

const Json::Array& Json::elements() const {
  static const auto* const none = new Array;
  const auto* const box = std::get_if<Box<Array>>(&value_);
  return box == nullptr ? *none : **box;
}

const Json::Object& Json::members() const {
  static const auto* const none = new Object;
  const auto* const box = std::get_if<Box<Object>>(&value_);
  return box == nullptr ? *none : **box;
}

const Json* Json::Find(std::string_view name) const {
  const auto found = members().find(name);
  if (found == members().end() || found->second.is_null()) return nullptr;
  return &found->second;
}

std::string Json::Text(std::string_view name) const {
  const Json* const found = Find(name);
  const std::string* const text = found == nullptr ? nullptr : found->AsText();
  return text == nullptr ? "" : *text;
}

Json& Json::operator[](std::string_view name) {
  if (!is_object()) *this = object();
  Object& members = *std::get<Box<Object>>(value_);
  const auto found = members.find(name);
  return found != members.end() ? found->second : members[std::string(name)];
}

Json& Json::push_back(Json element) {
  if (!is_array()) *this = array();
  return std::get<Box<Array>>(value_)->emplace_back(std::move(element));
}

void Json::erase(std::string_view name) {
  if (!is_object()) return;
  Object& members = *std::get<Box<Object>>(value_);
  const auto found = members.find(name);
  if (found != members.end()) members.erase(found);
}

bool operator==(const Json& a, const Json& b) {
  if (a.value_.index() != b.value_.index()) return false;
  return std::visit(
      [&b]<typename T>(const T& value) {
        const T& other = std::get<T>(b.value_);
        if constexpr (requires { *value == *other; }) {
          return *value == *other;
        } else {
          return value == other;
        }
      },
      a.value_);
}

}  // namespace berth
