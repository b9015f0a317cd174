// The one door to JSON: a value that cannot throw, the parser that bounds what
// it takes, and a reader of objects that remembers what was wrong.
#ifndef BASE_JSON_H_
#define BASE_JSON_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/status.h"

namespace berth {

// One JSON value. Reading never fails: a member that is missing or of another
// type reads as an empty optional, a null pointer, or a list without elements.
// Writing turns the value into the type that the write needs. Integers of 64
// bits are exact. Thread-compatible.
//
//   Json reply = {{"Id", id}, {"Warnings", Json::array()}};
//   reply["State"]["Running"] = true;
//
// A list in braces is an object if each of its elements is a pair that begins
// with a text; otherwise it is an array.
class Json {
 public:
  class Item;
  using Array = std::vector<Json>;
  using Object = std::map<std::string, Json, std::less<>>;

  Json() = default;  // null
  Json(std::nullptr_t) {}
  Json(std::initializer_list<Item> items);
  Json(std::string text);
  Json(std::string_view text) : Json(std::string(text)) {}
  Json(const char* text) : Json(std::string(text)) {}
  Json(double number) : value_(number) {}
  Json(Array elements);
  Json(Object members);
  template <std::same_as<bool> T>
  Json(T value) : value_(value) {}
  template <std::integral T>
  requires(!std::same_as<T, bool>) Json(T number) {
    if (number < 0) {
      value_ = static_cast<int64_t>(number);
    } else {
      value_ = static_cast<uint64_t>(number);
    }
  }
  template <typename T>
  Json(const std::vector<T>& list) : Json(Array(list.begin(), list.end())) {}
  template <typename T>
  Json(const std::map<std::string, T>& map)
      : Json(Object(map.begin(), map.end())) {}
  static Json array(std::initializer_list<Item> elements = {});
  static Json object() { return Json(Object()); }

  Json(const Json& other);
  Json& operator=(const Json& other);
  // The value that was moved from is null.
  Json(Json&& other) noexcept : value_(std::exchange(other.value_, {})) {}
  Json& operator=(Json&& other) noexcept;
  ~Json() = default;

  bool is_null() const;
  bool is_string() const { return AsText() != nullptr; }
  bool is_array() const;
  bool is_object() const;
  std::optional<bool> AsBool() const;
  // Empty if the number has a fraction or is out of range.
  std::optional<int64_t> AsInt() const;
  std::optional<uint64_t> AsUint() const;
  const std::string* AsText() const;

  // Empty if the value is not an array, or not an object.
  const Array& elements() const;
  const Object& members() const;
  size_t size() const { return elements().size() + members().size(); }
  bool empty() const { return size() == 0; }

  // The member of that name; null if it is missing or null, or if this value
  // is not an object.
  const Json* Find(std::string_view name) const;
  // The member as a text; "" if it is missing or not a text.
  std::string Text(std::string_view name) const;

  // For writing. A value of another type becomes an empty object (or array).
  Json& operator[](std::string_view name);
  Json& operator[](std::integral auto index) = delete;
  Json& push_back(Json element);  // returns the new element
  void erase(std::string_view name);

  friend bool operator==(const Json& a, const Json& b);

 private:
  friend class JsonPrinter;
  // Boxes keep a Json small, which matters in long arrays. Never null.
  template <typename T>
  using Box = std::unique_ptr<T>;
  // A number that is not negative is always the unsigned one.
  using Value = std::variant<std::monostate, bool, int64_t, uint64_t, double,
                             Box<std::string>, Box<Array>, Box<Object>>;
  Value value_;
};

// An element of a list in braces. Only the compiler makes one.
class Json::Item {
 public:
  template <typename T>
  requires(!std::same_as<std::remove_cvref_t<T>, Item> &&
           std::constructible_from<Json, T>) Item(T&& value)
      : value_(std::forward<T>(value)) {}
  Item(std::initializer_list<Item> items) : value_(items) {}

 private:
  friend class Json;
  mutable Json value_;  // moved out: a list's elements are const
};

struct JsonRules {
  // How deep objects and arrays may nest. A document of ours that holds
  // foreign JSON is read with kDeepJson.
  int max_depth = 128;
  // If false, the last of two members with the same name counts.
  bool refuse_duplicates = false;
};
constexpr JsonRules kDeepJson = {.max_depth = 160};

// INVALID_ARGUMENT, naming `what`, the line and the column, for anything that
// is not one JSON value in UTF-8, or that breaks the rules.
StatusOr<Json> ParseJson(std::string_view text, const std::string& what,
                         JsonRules rules = {});

// On one line, or on many if `indent` is not 0. Members are sorted. Bytes that
// are not UTF-8 become U+FFFD.
std::string DumpJson(const Json& json, int indent = 0);

// Whether the case of a member's name matters. For Go's decoder, which clients
// of Docker's API rely on, it does not: an exact match is preferred.
enum class JsonNames { kExact, kAnyCase };

// Reads the members of one object and remembers the first error, so that a
// parser can be a list of fields followed by one check:
//
//   JsonReader reader(json, "process");
//   reader.Get("cwd", process.cwd);
//   reader.Get("args", process.args);
//   RETURN_IF_ERROR(reader.status());
//
// A missing or null member leaves the target as it is; a member of the wrong
// type or out of range is INVALID_ARGUMENT with its path. 64-bit integers are
// exact. Members with other names are ignored. Single-threaded; must not
// outlive the Json.
class JsonReader {
 public:
  JsonReader(const Json& json, std::string path,
             JsonNames names = JsonNames::kExact);

  const Status& status() const { return status_; }
  void Fail(const std::string& member, const std::string& why);

  bool Has(const char* member) const;
  // The member, of any type; null if it is missing.
  const Json* Find(const char* member) const;
  // The elements of an array, or the members of an object; empty if the member
  // is missing.
  const Json::Array& Array(const char* member);
  const Json::Object& Object(const char* member);
  std::string PathOf(const std::string& member) const;

  void Get(const char* member, std::string& target);
  void Get(const char* member, bool& target);
  void Get(const char* member, int64_t& target);
  void Get(const char* member, uint64_t& target);
  void Get(const char* member, int32_t& target);
  void Get(const char* member, uint32_t& target);
  void Get(const char* member, std::vector<std::string>& target);
  void Get(const char* member, std::map<std::string, std::string>& target);
  template <typename T>
  void Get(const char* member, std::optional<T>& target) {
    if (!Has(member)) return;
    T value{};
    Get(member, value);
    if (status_.ok()) target = std::move(value);
  }

 private:
  void Signed(const char* member, int64_t low, int64_t high, int64_t& target);
  void Unsigned(const char* member, uint64_t high, uint64_t& target);

  const Json& json_;
  const std::string path_;
  const JsonNames names_;
  Status status_;
};

}  // namespace berth

#endif  // BASE_JSON_H_
