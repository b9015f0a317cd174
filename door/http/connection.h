#ifndef DOOR_HTTP_CONNECTION_H_
#define DOOR_HTTP_CONNECTION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "door/http/http_server.h"
#include "door/http/request_parser.h"

namespace berth::door {

// One client of an HttpServer: its socket and what has been received and not
// yet used. Owned by the loop of the server while it waits for a request, and
// by the thread that serves one after that: thread-compatible, but for
// `context`, which anyone may cancel, and for what HttpServer's mutex guards.
class HttpServer::Connection {
 public:
  Connection(uint64_t id, UniqueFd socket, Context context,
             size_t max_header_bytes)
      : id_(id),
        socket_(std::move(socket)),
        context_(std::move(context)),
        max_header_bytes_(max_header_bytes) {
    BeginRequest();
  }

  uint64_t id() const { return id_; }
  int socket() const { return socket_.get(); }
  std::string& buffer() { return buffer_; }
  RequestParser& parser() { return *parser_; }
  // Cancelled by Shutdown, by the loop when the client has left, and to make
  // room.
  const Context& context() const { return context_; }

  void BeginRequest() {
    parser_ = std::make_unique<RequestParser>(max_header_bytes_);
  }
  // More bytes into the buffer without waiting. False at the end of the
  // stream; UNAVAILABLE if none are there.
  StatusOr<bool> Receive();
  // The same, but waits for them.
  StatusOr<bool> Fill(const Context& ctx);

  // Whether the spare thread serves it; set before it does.
  bool on_spare = false;
  // Guarded by the server's mutex.
  ConnectionState state = kIdle;
  SteadyTime since;  // in this state

 private:
  const uint64_t id_;
  const UniqueFd socket_;
  const Context context_;
  const size_t max_header_bytes_;
  std::unique_ptr<RequestParser> parser_;
  std::string buffer_;
};

}  // namespace berth::door

#endif  // DOOR_HTTP_CONNECTION_H_
