// JSON in tests, where places are named by RFC 6901's pointers: "/mounts/0".
#ifndef BASE_TESTING_JSON_H_
#define BASE_TESTING_JSON_H_

#include <string_view>

#include "base/json.h"

namespace berth {

// Fails the test, and is null, if the text is not JSON.
Json Parsed(std::string_view text);

// What is at the place; null if there is nothing.
Json At(const Json& json, std::string_view pointer);

// The same with another value at the place. A member that is missing is added;
// an array must have the element, or all before it.
Json With(Json json, std::string_view pointer, Json value);

}  // namespace berth

#endif  // BASE_TESTING_JSON_H_
