#include "docker/convert/member_names.h"

#include "base/strings.h"

namespace berth::docker {

Shape Shape::Struct(std::map<std::string, Shape> members) {
  Shape shape;
  for (auto& [name, inside] : members) {
    shape.members_[Lower(name)] = {name, std::move(inside)};
  }
  return shape;
}

Shape Shape::Struct(std::initializer_list<const char*> members) {
  Shape shape;
  for (const char* name : members) {
    shape.members_[Lower(name)] = {name, Shape()};
  }
  return shape;
}

Shape Shape::Each(const Shape& element) {
  Shape shape;
  shape.element_ = std::make_shared<const Shape>(element);
  return shape;
}

Json Shape::Spell(const Json& value) const {
  if (element_ == nullptr) {
    return members_.empty() || !value.is_object() ? value : SpellMembers(value);
  }
  if (value.is_object()) {
    Json::Object members;
    for (const auto& [name, member] : value.members()) {
      members[name] = element_->Spell(member);
    }
    return members;
  }
  if (!value.is_array()) return value;
  Json::Array elements;
  for (const Json& element : value.elements()) {
    elements.push_back(element_->Spell(element));
  }
  return elements;
}

Json Shape::SpellMembers(const Json& value) const {
  Json::Object members;
  for (const auto& [name, member] : value.members()) {
    const auto known = members_.find(Lower(name));
    if (known == members_.end()) {
      members[name] = member;
      continue;
    }
    const auto& [spelling, inside] = known->second;
    if (name != spelling &&
        (member.is_null() || value.Find(spelling) != nullptr)) {
      continue;
    }
    members[spelling] = inside.Spell(member);
  }
  return members;
}

}  // namespace berth::docker
