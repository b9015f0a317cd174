#include "door/http/request_parser.h"

#include <boost/beast/http.hpp>
#include <exception>
#include <limits>
#include <stdexcept>

#include "base/strings.h"
#include "third_party/asio.h"

namespace berth::door {

namespace http = boost::beast::http;

struct RequestParser::State {
  http::request_parser<http::buffer_body> parser;
  bool head = false;
  size_t used = 0;  // bytes of the head
  size_t limit = 0;
};

RequestParser::RequestParser(size_t max_header_bytes)
    : state_(std::make_unique<State>()) {
  state_->parser.header_limit(static_cast<uint32_t>(max_header_bytes));
  state_->limit = max_header_bytes;
  // Bodies are bounded by whoever reads them.
  state_->parser.body_limit(std::numeric_limits<uint64_t>::max());
}

RequestParser::~RequestParser() = default;

bool RequestParser::done() const { return state_->parser.is_done(); }
bool RequestParser::keep_alive() const {
  return state_->head && state_->parser.get().keep_alive();
}
bool RequestParser::expects_continue() const {
  return Lower(request_.Header("expect")) == "100-continue";
}

uint64_t RequestParser::content_length() const {
  const auto length = state_->parser.content_length();
  return length.has_value() ? *length : 0;
}

StatusOr<bool> RequestParser::TakeHead(std::string& buffer) {
  try {
    return ParseHead(buffer);
  } catch (const std::length_error&) {  // of a field over 64 KiB
    return ResourceExhausted("a field of the request's head is too long");
  } catch (const std::exception& e) {
    return InvalidArgument(std::string("bad request: ") + e.what());
  }
}

StatusOr<bool> RequestParser::ParseHead(std::string& buffer) {
  boost::beast::error_code error;
  const size_t used = state_->parser.put(boost::asio::buffer(buffer), error);
  buffer.erase(0, used);
  // Beast forgets what it has used in earlier calls.
  state_->used += used;
  if (error == http::error::header_limit ||
      error == http::error::buffer_overflow || state_->used > state_->limit) {
    return ResourceExhausted("the request's head is too long");
  }
  if (error == http::error::need_more) return false;
  if (error) return InvalidArgument("bad request: " + error.message());
  state_->head = state_->parser.is_header_done();
  if (!state_->head) return false;
  RETURN_IF_ERROR(ReadHead());
  return true;
}

Status RequestParser::ReadHead() {
  const auto& head = state_->parser.get();
  request_.method = std::string(head.method_string());
  for (const auto& field : head) {
    request_.headers.emplace_back(Lower(std::string(field.name_string())),
                                  std::string(field.value()));
  }
  std::string target(head.target());
  // The absolute form (RFC 9112, 3.2.2), as clients behind a proxy send it.
  const size_t scheme = target.find("://");
  if (scheme != std::string::npos && scheme < target.find_first_of("/?")) {
    const size_t slash = target.find('/', scheme + 3);
    target.erase(0, slash);  // all of it without a path
    if (target.empty()) target = "/";
  }
  const size_t mark = target.find('?');
  request_.path = UrlDecode(target.substr(0, mark), false);
  if (request_.path.empty() || request_.path.front() != '/') {
    return InvalidArgument("bad request: target " + Quoted(target));
  }
  if (mark == std::string::npos) return OkStatus();
  for (const std::string& pair : Split(target.substr(mark + 1), '&')) {
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    const std::string value =
        equals == std::string::npos ? "" : pair.substr(equals + 1);
    request_.query[UrlDecode(pair.substr(0, equals), true)].push_back(
        UrlDecode(value, true));
  }
  return OkStatus();
}

StatusOr<std::string> RequestParser::TakeBody(std::string& buffer,
                                              size_t limit) {
  try {
    return ParseBody(buffer, limit);
  } catch (const std::exception& e) {
    return InvalidArgument(std::string("bad request body: ") + e.what());
  }
}

StatusOr<std::string> RequestParser::ParseBody(std::string& buffer,
                                               size_t limit) {
  std::string piece(limit, '\0');
  auto& body = state_->parser.get().body();
  body.data = piece.data();
  body.size = piece.size();
  body.more = true;
  // A chunk's head and its bytes are taken in two steps.
  while (!state_->parser.is_done() && body.size > 0 && !buffer.empty()) {
    boost::beast::error_code error;
    const size_t used = state_->parser.put(boost::asio::buffer(buffer), error);
    buffer.erase(0, used);
    if (error == http::error::need_buffer) break;
    if (error == http::error::need_more) {
      if (used == 0) break;
      continue;
    }
    if (error) {
      return InvalidArgument("bad request body: " + error.message());
    }
  }
  piece.resize(piece.size() - body.size);
  return piece;
}

}  // namespace berth::door
