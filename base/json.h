// The one door to the JSON library: everything that is parsed goes through
// ParseJson, and no exception of the library leaves it.
#ifndef BASE_JSON_H_
#define BASE_JSON_H_

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace berth {

using Json = nlohmann::json;

// INVALID_ARGUMENT, naming `what`, for anything that is not one JSON value,
// or that nests deeper than 128 levels.
StatusOr<Json> ParseJson(std::string_view text, const std::string& what);

// Compact form; bytes that are not UTF-8 are replaced, never thrown about.
std::string DumpJson(const Json& json);

// Reads the members of one object, remembering the first thing that was wrong,
// so that a parser can be a list of fields followed by one check:
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
  JsonReader(const Json& json, std::string path);

  const Status& status() const { return status_; }
  void Fail(const std::string& member, const std::string& why);

  bool Has(const char* member) const;
  // The member, or null: of any type, for nested objects and arrays.
  const Json* Find(const char* member) const;
  // The elements of an array member; none if missing.
  const Json::array_t& Array(const char* member);
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
  Status status_;
};

}  // namespace berth

#endif  // BASE_JSON_H_
