#include "door/http/exchange.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "base/strings.h"

namespace berth::door {
namespace {

// An unread body of up to this many bytes is drained so that the connection
// can be used again; a longer one ends it.
constexpr size_t kMaxSkipped = 256 << 10;
constexpr size_t kReadSize = 64 << 10;
// How long a client may go on sending what nobody wants.
constexpr Duration kEndLimit = std::chrono::seconds(10);
// Of a body that is read as a whole, on top of a time that grows with it.
constexpr Duration kWholeBodyPatience = std::chrono::seconds(30);
// Waiting for a body's bytes slower than this uses its patience up.
constexpr uint64_t kBodyBytesPerSecond = 1024;

const char* Phrase(int status) {
  switch (status) {
    case 101:
      return "UPGRADED";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Payload Too Large";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    default:
      return "Internal Server Error";
  }
}

std::string DateNow() {
  char text[64];
  const time_t now = time(nullptr);
  tm parts;
  gmtime_r(&now, &parts);
  strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return text;
}

}  // namespace

StatusOr<bool> HttpServer::Connection::Receive() {
  char bytes[kReadSize];
  const ssize_t n = TEMP_FAILURE_RETRY(
      recv(socket_.get(), bytes, sizeof(bytes), MSG_DONTWAIT));
  if (n > 0) buffer_.append(bytes, static_cast<size_t>(n));
  if (n >= 0) return n > 0;
  if (errno == EAGAIN) return Unavailable("nothing to receive");
  return Errno(errno, "receive from the client");
}

StatusOr<bool> HttpServer::Connection::Fill(const Context& ctx) {
  while (true) {
    RETURN_IF_ERROR(AwaitReadable(ctx, socket_.get()));
    StatusOr<bool> more = Receive();
    if (more.ok() || ErrnoOf(more.status()) != 0) return more;
  }
}

StatusOr<bool> HttpServer::Exchange::AwaitBody() {
  const SteadyTime begin = std::chrono::steady_clock::now();
  const Context in_time = ctx_.WithTimeout(std::max(patience_, Duration(0)));
  const size_t before = connection_.buffer().size();
  const StatusOr<bool> more = connection_.Fill(in_time);
  if (!more.ok()) {
    if (!ctx_.Check().ok()) return ctx_.Check();
    if (in_time.Check().ok()) return more;
    return DeadlineExceeded("receive the request's body: it comes too slowly");
  }
  const uint64_t received = connection_.buffer().size() - before;
  patience_ -= std::chrono::steady_clock::now() - begin;
  patience_ += std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(static_cast<double>(received) /
                                    static_cast<double>(kBodyBytesPerSecond)));
  patience_ = std::min(patience_, options_.body_patience);
  return more;
}

StatusOr<std::string> HttpServer::Exchange::ReadSome(size_t limit) {
  RequestParser& parser = connection_.parser();
  if (parser.expects_continue() && !continued_ && !answered_) {
    continued_ = true;
    RETURN_IF_ERROR(WriteToSocket(ctx_, connection_.socket(),
                                  "HTTP/1.1 100 Continue\r\n\r\n",
                                  options_.write_patience));
  }
  while (true) {
    StatusOr<std::string> piece = parser.TakeBody(connection_.buffer(), limit);
    if (!piece.ok() || !piece->empty() || parser.done()) {
      broken_ = broken_ || !piece.ok();
      return piece;
    }
    const StatusOr<bool> more = AwaitBody();
    if (more.ok() && *more) continue;
    // What has not come cannot be skipped; the client can still be answered.
    broken_body_ = true;
    RETURN_IF_ERROR(more.status());
    return Unavailable("the client went away in the middle of its request");
  }
}

StatusOr<std::string> HttpServer::Exchange::ReadBody(size_t limit) {
  const Status too_long = ResourceExhausted(
      "the request's body is longer than " + std::to_string(limit) + " bytes");
  patience_ = std::min(patience_, kWholeBodyPatience);
  body_too_long_ = connection_.parser().content_length() > limit;
  std::string body;
  while (!body_too_long_) {
    ASSIGN_OR_RETURN(const std::string piece, ReadSome(kReadSize));
    if (piece.empty()) return body;
    body_too_long_ = body.size() + piece.size() > limit;
    if (!body_too_long_) body += piece;
  }
  return too_long;
}

void HttpServer::Exchange::AddHeader(const std::string& name,
                                     const std::string& value) {
  headers_ += name + ": " + value + "\r\n";
}

Status HttpServer::Exchange::Respond(int status, const std::string& type,
                                     std::string_view body) {
  const bool bodiless = status == 204 || status == 304;
  std::string answer = Head(status, type);
  if (!bodiless) {
    answer += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  }
  answer += "\r\n";
  if (!bodiless && request().method != "HEAD") answer += body;
  return Send(answer);
}

Status HttpServer::Exchange::BeginStream(int status, const std::string& type) {
  RETURN_IF_ERROR(take_place_(false));
  streaming_ = true;
  return Send(Head(status, type) + "Transfer-Encoding: chunked\r\n\r\n");
}

Status HttpServer::Exchange::Write(std::string_view bytes) {
  if (bytes.empty()) return OkStatus();
  char size[32];
  snprintf(size, sizeof(size), "%zx\r\n", bytes.size());
  std::string chunk = size;
  chunk += bytes;
  chunk += "\r\n";
  return Send(chunk);
}

StatusOr<UpgradedConnection> HttpServer::Exchange::Upgrade(
    const std::string& type) {
  RETURN_IF_ERROR(take_place_(true));
  upgraded_ = true;
  const std::string protocol = request().Header("upgrade");
  std::string answer =
      protocol.empty() ? "HTTP/1.1 200 OK\r\n" : "HTTP/1.1 101 UPGRADED\r\n";
  if (!type.empty()) answer += "Content-Type: " + type + "\r\n";
  if (!protocol.empty()) {
    answer += "Connection: Upgrade\r\nUpgrade: " + protocol + "\r\n";
  }
  RETURN_IF_ERROR(Send(answer + headers_ + "\r\n"));
  std::string pending;
  pending.swap(connection_.buffer());
  return UpgradedConnection(connection_.socket(), std::move(pending));
}

bool HttpServer::Exchange::Finish() {
  if (!answered_) (void)Respond(500, "", "");
  if (streaming_) (void)Send("0\r\n\r\n");
  const bool again = !upgraded_ && !broken_ && !broken_body_ &&
                     connection_.parser().keep_alive() && SkipBody();
  const bool unread = upgraded_ || !connection_.parser().done();
  if (!again && unread) EndGently(ctx_, connection_.socket(), kEndLimit);
  return again;
}

bool HttpServer::Exchange::SkipBody() {
  RequestParser& parser = connection_.parser();
  // A client that waits to be asked for its body will not send it.
  if (parser.expects_continue() && !continued_ && !parser.done()) return false;
  patience_ = std::min(patience_, kEndLimit);
  size_t skipped = 0;
  while (!parser.done()) {
    const StatusOr<std::string> piece = ReadSome(kReadSize);
    if (!piece.ok()) return false;
    skipped += piece->size();
    if (skipped > kMaxSkipped) return false;
  }
  return true;
}

void HttpServer::Exchange::Fail(const Status& status) {
  if (!answered_) {
    (void)Respond(500, "text/plain; charset=utf-8", Message(status) + "\n");
  } else {
    broken_ = true;
  }
}

void HttpServer::Exchange::RefuseHead(const Status& status) {
  const bool too_long = status.code() == StatusCode::kResourceExhausted;
  // The client is told if it still listens; the connection ends anyway.
  (void)Respond(too_long ? 431 : 400, "text/plain; charset=utf-8",
                Message(status) + "\n");
  EndGently(ctx_, connection_.socket(), kEndLimit);
}

std::string HttpServer::Exchange::Head(int status,
                                       const std::string& type) const {
  std::string head = "HTTP/1.1 " + std::to_string(status) + " " +
                     Phrase(status) + "\r\nDate: " + DateNow() + "\r\n" +
                     headers_;
  if (!type.empty()) head += "Content-Type: " + type + "\r\n";
  if (!connection_.parser().keep_alive() || broken_body_) {
    head += "Connection: close\r\n";
  }
  return head;
}

Status HttpServer::Exchange::Send(std::string_view bytes) {
  answered_ = true;
  if (broken_) return Unavailable("the client is gone");
  // A stream's reader may pause (`docker logs -f | less`); it is the one that
  // gives its place up when places run out.
  const Status status = WriteToSocket(
      ctx_, connection_.socket(), bytes,
      streaming_ ? std::optional<Duration>() : options_.write_patience);
  broken_ = !status.ok();
  return status;
}

}  // namespace berth::door
