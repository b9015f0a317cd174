#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/json.h"

namespace berth {
namespace {

constexpr char kReplacement[] = "\xEF\xBF\xBD";  // U+FFFD

struct Sequence {
  size_t length;
  bool valid;
};

// What the text, which is not empty, begins with: one character of UTF-8, or
// the longest beginning of one that is followed by something else (The Unicode
// Standard, table 3-7 and section 3.9).
Sequence FirstSequence(std::string_view text) {
  const auto byte = [&](size_t i) {
    return static_cast<unsigned char>(text[i]);
  };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {1, true};
  if (lead < 0xC2 || lead > 0xF4) return {1, false};
  const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (size_t i = 1; i < length; ++i) {
    if (i == text.size() || byte(i) < low || byte(i) > high) return {i, false};
    low = 0x80;
    high = 0xBF;
  }
  return {length, true};
}

std::string Escape(char c) {
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\b':
      return "\\b";
    case '\f':
      return "\\f";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default: {
      char text[8];
      std::snprintf(text, sizeof(text), "\\u%04x", static_cast<unsigned>(c));
      return text;
    }
  }
}

bool NeedsEscape(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
}

}  // namespace

// Prints one value. The depth of a value is bounded by who made it.
class JsonPrinter {
 public:
  explicit JsonPrinter(int indent) : indent_(indent) {}

  std::string Take() { return std::move(out_); }

  void Print(const Json& json) {
    std::visit([this](const auto& value) { Put(value); }, json.value_);
  }

 private:
  void Put(std::monostate) { out_ += "null"; }
  void Put(bool value) { out_ += value ? "true" : "false"; }
  void Put(int64_t value) { out_ += std::to_string(value); }
  void Put(uint64_t value) { out_ += std::to_string(value); }

  // The fewest digits that give the same number again.
  void Put(double value) {
    if (!std::isfinite(value)) {
      out_ += "null";
      return;
    }
    char text[40];
    for (int digits = 15; digits <= 17; ++digits) {
      std::snprintf(text, sizeof(text), "%.*g", digits, value);
      if (std::strtod(text, nullptr) == value) break;
    }
    out_ += text;
    // So that it stays a number with a fraction.
    if (std::string_view(text).find_first_of(".e") == std::string::npos) {
      out_ += ".0";
    }
  }

  void Put(const Json::Box<std::string>& text) { PutText(*text); }

  void PutText(std::string_view text) {
    out_ += '"';
    while (!text.empty()) {
      const Sequence first = FirstSequence(text);
      if (!first.valid) {
        out_ += kReplacement;
      } else if (NeedsEscape(text[0])) {
        out_ += Escape(text[0]);
      } else {
        out_ += text.substr(0, first.length);
      }
      text.remove_prefix(first.length);
    }
    out_ += '"';
  }

  void Put(const Json::Box<Json::Array>& array) {
    Open('[');
    for (const Json& element : *array) {
      Next(&element == &array->front());
      Print(element);
    }
    Close(']', array->empty());
  }

  void Put(const Json::Box<Json::Object>& object) {
    Open('{');
    bool first = true;
    for (const auto& [name, value] : *object) {
      Next(std::exchange(first, false));
      PutText(name);
      out_ += indent_ > 0 ? ": " : ":";
      Print(value);
    }
    Close('}', object->empty());
  }

  void Open(char bracket) {
    out_ += bracket;
    ++level_;
  }

  void Next(bool first) {
    if (!first) out_ += ',';
    NewLine();
  }

  void Close(char bracket, bool empty) {
    --level_;
    if (!empty) NewLine();
    out_ += bracket;
  }

  void NewLine() {
    if (indent_ == 0) return;
    out_ += '\n';
    out_.append(static_cast<size_t>(indent_) * static_cast<size_t>(level_),
                ' ');
  }

  const int indent_;
  int level_ = 0;
  std::string out_;
};

std::string DumpJson(const Json& json, int indent) {
  JsonPrinter printer(indent);
  printer.Print(json);
  return printer.Take();
}

}  // namespace berth
