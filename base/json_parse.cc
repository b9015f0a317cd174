// The parser: the library reads the text, JsonBuilder makes the value.
#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace berth {
namespace {

using Library = nlohmann::json;

// Walks over the text for the library and says how far it has come.
class Cursor {
 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Cursor() = default;
  Cursor(const char* at, const char** furthest)
      : at_(at), furthest_(furthest) {}
  reference operator*() const { return *at_; }
  Cursor& operator++() {
    *furthest_ = ++at_;
    return *this;
  }
  Cursor operator++(int) {
    return Cursor(std::exchange(at_, at_ + 1), nullptr);
  }
  bool operator==(const Cursor& other) const { return at_ == other.at_; }

 private:
  const char* at_ = nullptr;
  const char** furthest_ = nullptr;
};

// Takes what the library finds, by the names that it gives. The library does
// not recurse, but copying, printing and destroying a value does: so the depth
// is bounded here.
class JsonBuilder {
 public:
  explicit JsonBuilder(const JsonRules& rules) : rules_(rules) {}

  Json Take() { return std::move(root_); }
  const char* fault() const { return fault_; }
  // Of a fault of grammar, as the library counts; else nothing.
  std::optional<size_t> position() const { return position_; }

  bool null() { return Add(Json()); }
  bool boolean(bool value) { return Add(value); }
  bool number_integer(int64_t value) { return Add(value); }
  bool number_unsigned(uint64_t value) { return Add(value); }
  bool number_float(double value, const std::string&) { return Add(value); }
  bool string(std::string& text) { return Add(std::move(text)); }
  bool binary(Library::binary_t&) { return false; }
  bool start_object(size_t) { return Open(Json::object()); }
  bool start_array(size_t) { return Open(Json::array()); }
  bool end_object() { return Close(); }
  bool end_array() { return Close(); }

  bool key(std::string& name) {
    Json& object = *open_.back();
    const size_t before = object.size();
    member_ = &object[name];
    if (object.size() > before || !rules_.refuse_duplicates) return true;
    fault_ = "a member occurs twice";
    return false;
  }

  bool parse_error(size_t position, const std::string&,
                   const Library::exception&) {
    position_ = position;
    return false;
  }

 private:
  bool Add(Json value) {
    *Place() = std::move(value);
    return true;
  }

  bool Open(Json container) {
    if (open_.size() >= static_cast<size_t>(rules_.max_depth)) {
      fault_ = "nests too deeply";
      return false;
    }
    Json* const place = Place();
    *place = std::move(container);
    open_.push_back(place);
    return true;
  }

  bool Close() {
    open_.pop_back();
    return true;
  }

  // Where the next value goes. While an element is open its array does not
  // grow, so the element does not move.
  Json* Place() {
    if (member_ != nullptr) return std::exchange(member_, nullptr);
    return open_.empty() ? &root_ : &open_.back()->push_back(Json());
  }

  const JsonRules rules_;
  Json root_;
  std::vector<Json*> open_;  // from the root to the one that is being filled
  Json* member_ = nullptr;   // the one whose name has been read
  const char* fault_ = "is not JSON";
  std::optional<size_t> position_;
};

// `at` counts from 0.
std::string PlaceOf(std::string_view text, size_t at) {
  const std::string_view before = text.substr(0, at);
  const size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return "line " +
         std::to_string(1 + std::count(before.begin(), before.end(), '\n')) +
         ", column " + std::to_string(before.size() - line_start + 1);
}

}  // namespace

StatusOr<Json> ParseJson(std::string_view text, const std::string& what,
                         JsonRules rules) {
  JsonBuilder builder(rules);
  const char* furthest = text.data();
  const Cursor begin(text.data(), &furthest);
  const Cursor end(text.data() + text.size(), &furthest);
  if (Library::sax_parse(begin, end, &builder)) return builder.Take();
  // Both count the byte at fault.
  const size_t read =
      builder.position().value_or(static_cast<size_t>(furthest - text.data()));
  return InvalidArgument(what + " " + builder.fault() + ": " +
                         PlaceOf(text, read == 0 ? 0 : read - 1));
}

}  // namespace berth
