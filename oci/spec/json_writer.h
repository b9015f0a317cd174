// Writes JSON text as it goes along, without a tree in between: a spec is
// written at every start. Private to serialize.
#ifndef OCI_SPEC_JSON_WRITER_H_
#define OCI_SPEC_JSON_WRITER_H_

#include <concepts>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::oci {

// The caller opens and closes in pairs; commas are ours. A Member whose value
// is unset (nullopt, or an empty text, list or map) is left out.
// Single-threaded.
class JsonWriter {
 public:
  void BeginObject() { Begin('{'); }
  void EndObject() { End('}'); }
  void BeginArray() { Begin('['); }
  void EndArray() { End(']'); }
  void Key(std::string_view name);

  void Value(std::string_view text);
  void Value(bool value) { Raw(value ? "true" : "false"); }
  template <std::integral T>
  requires(!std::same_as<T, bool>) void Value(T value) {
    Raw(std::to_string(value));
  }
  void Value(const std::vector<std::string>& list);
  void Value(const std::map<std::string, std::string>& map);

  template <typename T>
  void Always(std::string_view name, const T& value) {
    Key(name);
    Value(value);
  }
  template <typename T>
  void Member(const char* name, const T& value) {
    if (!value.empty()) Always(name, value);
  }
  template <typename T>
  void Member(const char* name, const std::optional<T>& value) {
    if (value.has_value()) Always(name, *value);
  }
  // false is what a missing member means.
  void Flag(const char* name, bool value) {
    if (value) Always(name, value);
  }
  // An array of objects, each by `write`.
  template <typename T>
  void List(const char* name, const std::vector<T>& list,
            void (*write)(JsonWriter& writer, const T& value)) {
    if (list.empty()) return;
    Key(name);
    BeginArray();
    for (const T& value : list) write(*this, value);
    EndArray();
  }

  std::string Take() { return std::move(text_); }

 private:
  void Comma();
  void Begin(char bracket);
  void End(char bracket);
  void Raw(std::string_view text);

  std::string text_;
  bool comma_ = false;  // one is due before the next value
};

}  // namespace berth::oci

#endif  // OCI_SPEC_JSON_WRITER_H_
