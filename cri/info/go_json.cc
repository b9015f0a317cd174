#include "cri/info/go_json.h"

#include <google/protobuf/descriptor.h>

#include <string>
#include <utility>
#include <vector>

#include "base/base64.h"

namespace berth::cri {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

Json Text(const FieldDescriptor& field, std::string text) {
  if (field.type() == FieldDescriptor::TYPE_BYTES) return Base64Encode(text);
  return text;
}

Json ToValue(const Message& message, const FieldDescriptor& field) {
  const Reflection& read = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return read.GetInt32(message, &field);
    case FieldDescriptor::CPPTYPE_INT64:
      return read.GetInt64(message, &field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return read.GetUInt32(message, &field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return read.GetUInt64(message, &field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return read.GetDouble(message, &field);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return static_cast<double>(read.GetFloat(message, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return read.GetBool(message, &field);
    case FieldDescriptor::CPPTYPE_ENUM:
      return read.GetEnumValue(message, &field);
    case FieldDescriptor::CPPTYPE_STRING:
      return Text(field, read.GetString(message, &field));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return ToGoJson(read.GetMessage(message, &field));
  }
  return nullptr;
}

Json ToElement(const Message& message, const FieldDescriptor& field, int at) {
  const Reflection& read = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return read.GetRepeatedInt32(message, &field, at);
    case FieldDescriptor::CPPTYPE_INT64:
      return read.GetRepeatedInt64(message, &field, at);
    case FieldDescriptor::CPPTYPE_UINT32:
      return read.GetRepeatedUInt32(message, &field, at);
    case FieldDescriptor::CPPTYPE_UINT64:
      return read.GetRepeatedUInt64(message, &field, at);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return read.GetRepeatedDouble(message, &field, at);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return static_cast<double>(read.GetRepeatedFloat(message, &field, at));
    case FieldDescriptor::CPPTYPE_BOOL:
      return read.GetRepeatedBool(message, &field, at);
    case FieldDescriptor::CPPTYPE_ENUM:
      return read.GetRepeatedEnumValue(message, &field, at);
    case FieldDescriptor::CPPTYPE_STRING:
      return Text(field, read.GetRepeatedString(message, &field, at));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return ToGoJson(read.GetRepeatedMessage(message, &field, at));
  }
  return nullptr;
}

// Those of the CRI have text as keys, and text or numbers as values.
Json ToMap(const Message& message, const FieldDescriptor& field) {
  const Reflection& read = *message.GetReflection();
  Json map = Json::object();
  for (int i = 0; i < read.FieldSize(message, &field); ++i) {
    const Message& entry = read.GetRepeatedMessage(message, &field, i);
    const FieldDescriptor& key = *field.message_type()->map_key();
    map[entry.GetReflection()->GetString(entry, &key)] =
        ToValue(entry, *field.message_type()->map_value());
  }
  return map;
}

Json ToList(const Message& message, const FieldDescriptor& field) {
  Json list = Json::array();
  const int size = message.GetReflection()->FieldSize(message, &field);
  for (int i = 0; i < size; ++i) {
    list.push_back(ToElement(message, field, i));
  }
  return list;
}

}  // namespace

Json ToGoJson(const Message& message) {
  std::vector<const FieldDescriptor*> set;  // in order of their numbers
  message.GetReflection()->ListFields(message, &set);
  Json json = Json::object();
  for (const FieldDescriptor* const field : set) {
    if (field->is_map()) {
      json[field->name()] = ToMap(message, *field);
    } else if (field->is_repeated()) {
      json[field->name()] = ToList(message, *field);
    } else {
      json[field->name()] = ToValue(message, *field);
    }
  }
  return json;
}

}  // namespace berth::cri
