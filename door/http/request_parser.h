#ifndef DOOR_HTTP_REQUEST_PARSER_H_
#define DOOR_HTTP_REQUEST_PARSER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"
#include "door/http/http_server.h"

namespace berth::door {

// One HTTP/1.1 request, from bytes that the caller receives into a buffer of
// its own: Boost.Beast behind a wall, as it throws and takes long to compile.
// Both calls remove from the front of the buffer what they used.
// Single-threaded.
class RequestParser {
 public:
  explicit RequestParser(size_t max_header_bytes);
  ~RequestParser();

  // True when the head is complete, false if more bytes are needed.
  // INVALID_ARGUMENT, or RESOURCE_EXHAUSTED if it is too long.
  StatusOr<bool> TakeHead(std::string& buffer);
  // The next bytes of the body; none if more have to be received, or when
  // `done`. Only after the head.
  StatusOr<std::string> TakeBody(std::string& buffer, size_t limit);

  const ServerRequest& request() const { return request_; }
  bool done() const;  // the body has ended
  bool keep_alive() const;
  bool expects_continue() const;
  // What the head says; 0 for a body in chunks.
  uint64_t content_length() const;

 private:
  struct State;
  StatusOr<bool> ParseHead(std::string& buffer);
  StatusOr<std::string> ParseBody(std::string& buffer, size_t limit);
  Status ReadHead();

  const std::unique_ptr<State> state_;
  ServerRequest request_;
};

}  // namespace berth::door

#endif  // DOOR_HTTP_REQUEST_PARSER_H_
