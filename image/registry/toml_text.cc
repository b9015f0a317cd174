#include "image/registry/toml_text.h"

#include <algorithm>
#include <cstddef>
#include <string>

namespace berth::image {
namespace {

// A value or a key begins behind these.
constexpr std::string_view kBeforeString = "\n=,[{.";
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// Walks through a text once. Errors have the line.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  // That nothing beyond ASCII is outside of strings and comments. What only
  // looks like a string, as it begins within a word, is none for the parser.
  Status CheckOutside() {
    at_ = 0;
    if (At(kByteOrderMark)) at_ = kByteOrderMark.size();
    char last = '\n';  // other than blanks
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
        continue;
      }
      const char before = last;
      if (c != ' ' && c != '\t' && c != '\r') last = c;
      if (c == '"' || c == '\'') {
        if (kBeforeString.find(before) == std::string_view::npos) {
          return Bad("a string where none can begin");
        }
        RETURN_IF_ERROR(SkipString(c));
      } else if (static_cast<unsigned char>(c) >= 0x80) {
        return Bad("a character beyond ASCII outside of strings and comments");
      } else {
        ++at_;
      }
    }
    return OkStatus();
  }

  // That nothing is there that may stand nowhere.
  Status CheckCharacters() {
    for (at_ = 0; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      const bool line_end = c == '\n' || At("\r\n");
      if ((c >= 0 && c < ' ' && c != '\t' && !line_end) || c == 0x7f) {
        return Bad("a control character");
      }
      if (At("\xc2\x85") || At("\xe2\x80\xa8") || At("\xe2\x80\xa9")) {
        return Bad("a line end that is none in TOML");
      }
    }
    return OkStatus();
  }

 private:
  bool At(std::string_view what) const {
    return text_.substr(at_, what.size()) == what;
  }

  Status Bad(const std::string& what) const {
    const auto line = std::count(text_.begin(), text_.begin() + at_, '\n') + 1;
    return InvalidArgument("line " + std::to_string(line) + ": " + what);
  }

  // From the quote on; one of three quotes may have two more at its end.
  Status SkipString(char quote) {
    const std::string three(3, quote);
    const bool long_string = At(three);
    const std::string_view end =
        std::string_view(three).substr(0, long_string ? 3 : 1);
    size_t here = at_ + end.size();
    while (here < text_.size() && text_.substr(here, end.size()) != end) {
      if (text_[here] == '\n' && !long_string) break;
      here += text_[here] == '\\' && quote == '"' ? 2 : 1;
    }
    if (text_.substr(std::min(here, text_.size()), end.size()) != end) {
      return Bad("a string without an end");
    }
    at_ = here + end.size();
    for (int more = 0; long_string && more < 2 && At(end.substr(0, 1));
         ++more) {
      ++at_;
    }
    return OkStatus();
  }

  const std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

Status CheckTomlText(std::string_view text) {
  Scanner scanner(text);
  RETURN_IF_ERROR(scanner.CheckCharacters());
  return scanner.CheckOutside();
}

}  // namespace berth::image
