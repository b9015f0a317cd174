// Requests on one connection of the Docker door, head and body.
#include <algorithm>
#include <string>
#include <string_view>

#include "door/http/http_server.h"
#include "door/http/request_parser.h"
#include "test/fuzz/driver/fuzz_target.h"

namespace {

constexpr size_t kMaxHead = 4096;

// The body; false if it breaks the protocol or has not come to its end.
bool TakeBody(berth::door::RequestParser& parser, std::string& received,
              std::string_view& coming) {
  size_t taken = 0;
  while (!parser.done()) {
    const auto part = parser.TakeBody(received, 64);
    if (!part.ok()) return false;
    FUZZ_CHECK(part->size() <= 64);
    taken += part->size();
    if (!part->empty() || parser.done()) continue;
    if (coming.empty()) return false;
    received.append(coming.substr(0, 100));
    coming.remove_prefix(std::min<size_t>(100, coming.size()));
  }
  return true;
}

// True if a whole request was there.
bool TakeRequest(std::string& received, std::string_view& coming) {
  berth::door::RequestParser parser(kMaxHead);
  for (;;) {
    const auto complete = parser.TakeHead(received);
    if (!complete.ok()) return false;
    if (*complete) break;
    FUZZ_CHECK(received.size() <= 2 * kMaxHead);
    if (coming.empty()) return false;
    received.append(coming.substr(0, 100));
    coming.remove_prefix(std::min<size_t>(100, coming.size()));
  }
  FUZZ_CHECK(!parser.request().path.empty());
  FUZZ_CHECK(parser.request().path[0] == '/');
  for (const auto& [name, value] : parser.request().headers) {
    FUZZ_CHECK(name.find_first_of("\r\n") == std::string::npos);
    FUZZ_CHECK(value.find_first_of("\r\n") == std::string::npos);
  }
  (void)parser.expects_continue();
  return TakeBody(parser, received, coming) && parser.keep_alive();
}

}  // namespace

FUZZ_TARGET(bytes) {
  (void)berth::door::UrlDecode(bytes, true);
  std::string received;
  std::string_view coming = bytes;
  bool good = !bytes.empty();
  while (good && !(received.empty() && coming.empty())) {
    good = TakeRequest(received, coming);
  }
  return good;
}
