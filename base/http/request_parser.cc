#include "base/http/request_parser.h"

#include <boost/beast/http.hpp>
#include <limits>

#include "base/strings.h"
#include "third_party/asio.h"

namespace berth {

namespace http = boost::beast::http;

struct RequestParser::State {
  http::request_parser<http::buffer_body> parser;
  bool head = false;
};

RequestParser::RequestParser(size_t max_header_bytes)
    : state_(std::make_unique<State>()) {
  state_->parser.header_limit(static_cast<uint32_t>(max_header_bytes));
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

StatusOr<bool> RequestParser::TakeHead(std::string& buffer) {
  boost::beast::error_code error;
  const size_t used = state_->parser.put(boost::asio::buffer(buffer), error);
  buffer.erase(0, used);
  if (error == http::error::need_more) return false;
  if (error == http::error::header_limit ||
      error == http::error::buffer_overflow) {
    return ResourceExhausted("the request's head is too long");
  }
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
  const std::string target(head.target());
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

}  // namespace berth
