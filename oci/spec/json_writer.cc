#include "oci/spec/json_writer.h"

#include <algorithm>

#include "base/json.h"

namespace berth::oci {
namespace {

bool IsPlain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
  });
}

}  // namespace

void JsonWriter::Comma() {
  if (comma_) text_ += ',';
  comma_ = true;
}

void JsonWriter::Begin(char bracket) {
  Comma();
  text_ += bracket;
  comma_ = false;
}

void JsonWriter::End(char bracket) {
  text_ += bracket;
  comma_ = true;
}

void JsonWriter::Raw(std::string_view text) {
  Comma();
  text_ += text;
}

void JsonWriter::Key(std::string_view name) {
  Value(name);
  text_ += ':';
  comma_ = false;
}

void JsonWriter::Value(std::string_view text) {
  Comma();
  if (IsPlain(text)) {
    text_.append(1, '"').append(text).append(1, '"');
  } else {
    text_ += DumpJson(Json(std::string(text)));
  }
}

void JsonWriter::Value(const std::vector<std::string>& list) {
  BeginArray();
  for (const std::string& element : list) Value(std::string_view(element));
  EndArray();
}

void JsonWriter::Value(const std::map<std::string, std::string>& map) {
  BeginObject();
  for (const auto& [name, value] : map) {
    Always(name, value);
  }
  EndObject();
}

}  // namespace berth::oci
