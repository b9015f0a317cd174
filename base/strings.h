#ifndef BASE_STRINGS_H_
#define BASE_STRINGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth {

// "a,b,,c" -> a, b, "", c. The empty text has no parts.
std::vector<std::string> Split(std::string_view text, char separator);
std::string Join(const std::vector<std::string>& parts,
                 std::string_view separator);

bool StartsWith(std::string_view text, std::string_view prefix);
bool EndsWith(std::string_view text, std::string_view suffix);
std::string Lower(std::string_view text);
// Without white space at both ends.
std::string_view Trim(std::string_view text);

// The whole text as a decimal number; nothing for anything else, overflow
// included.
std::optional<int64_t> ParseInt(std::string_view text);
std::optional<uint64_t> ParseUint(std::string_view text);

// Printable form for messages: `"text"` with control characters escaped.
std::string Quoted(std::string_view text);

// Lower-case hexadecimal.
std::string HexEncode(std::string_view bytes);

// 64 random hexadecimal digits: the form of every id that we make.
std::string RandomId();

}  // namespace berth

#endif  // BASE_STRINGS_H_
