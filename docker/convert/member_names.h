#ifndef DOCKER_CONVERT_MEMBER_NAMES_H_
#define DOCKER_CONVERT_MEMBER_NAMES_H_

#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/json.h"

namespace berth::docker {

// Which names inside a value of a request are the API's and which the
// client's. The API's may be written in any case, as Go's decoder takes them.
// A value; thread-compatible.
class Shape {
 public:
  // A plain value, or a map whose names and values are the client's.
  Shape() = default;
  static Shape Struct(std::map<std::string, Shape> members);
  // The same with plain members.
  static Shape Struct(std::initializer_list<const char*> members);
  // A list, or a map with names of the client's.
  static Shape Each(const Shape& element);

  // The value with the API's own spelling of the API's names. Of two members
  // that differ in case alone the exact one counts, else the last in the order
  // of their bytes; a null counts for nothing. Other members are kept.
  Json Spell(const Json& value) const;

 private:
  Json SpellMembers(const Json& value) const;

  // By lower-case name: the API's spelling, and what is inside.
  std::map<std::string, std::pair<std::string, Shape>> members_;
  std::shared_ptr<const Shape> element_;  // of Each
};

}  // namespace berth::docker

#endif  // DOCKER_CONVERT_MEMBER_NAMES_H_
