#include "base/http/http_server.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/http/request_parser.h"
#include "base/strings.h"

namespace berth {
namespace {

// What of a body nobody read is skipped so that the connection can go on;
// beyond, closing it is cheaper.
constexpr size_t kMaxSkipped = 256 << 10;
constexpr size_t kReadSize = 64 << 10;

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

StatusOr<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return InvalidArgument("socket path " + Quoted(path) + " is too long");
  }
  memcpy(address.sun_path, path.data(), path.size());
  return address;
}

bool SomebodyListens(const sockaddr_un& address) {
  UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return connect(probe.get(), reinterpret_cast<const sockaddr*>(&address),
                 sizeof(address)) == 0;
}

}  // namespace

std::string UrlDecode(std::string_view text, bool plus_is_blank) {
  std::string decoded;
  decoded.reserve(text.size());
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 &&
        digit(text[i + 2]) >= 0) {
      decoded +=
          static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      decoded += text[i] == '+' && plus_is_blank ? ' ' : text[i];
    }
  }
  return decoded;
}

std::string ServerRequest::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

std::string ServerRequest::Query(std::string_view name) const {
  const auto found = query.find(name);
  return found == query.end() ? "" : found->second.front();
}

bool ServerRequest::HasQuery(std::string_view name) const {
  return query.find(name) != query.end();
}

StatusOr<std::string> HttpExchange::ReadBody(size_t limit) {
  std::string body;
  while (true) {
    ASSIGN_OR_RETURN(const std::string piece, ReadSome(kReadSize));
    if (piece.empty()) return body;
    if (body.size() + piece.size() > limit) {
      return ResourceExhausted("the request's body is longer than " +
                               std::to_string(limit) + " bytes");
    }
    body += piece;
  }
}

class HttpServer::Connection {
 public:
  Connection(uint64_t id, UniqueFd socket, const Context& parent)
      : id_(id), socket_(std::move(socket)), context_(parent.WithCancel()) {}

  uint64_t id() const { return id_; }
  int socket() const { return socket_.get(); }
  UniqueFd TakeSocket() { return std::move(socket_); }
  std::string& buffer() { return buffer_; }
  // Of the connection: cancelled by Shutdown, or by the watcher.
  const Context& context() const { return context_; }

  // More bytes into the buffer; false at the end of the stream.
  StatusOr<bool> Fill(const Context& ctx) {
    char bytes[kReadSize];
    while (true) {
      const ssize_t n = TEMP_FAILURE_RETRY(
          recv(socket_.get(), bytes, sizeof(bytes), MSG_DONTWAIT));
      if (n > 0) buffer_.append(bytes, static_cast<size_t>(n));
      if (n >= 0) return n > 0;
      if (errno != EAGAIN) return Errno(errno, "receive from the client");
      RETURN_IF_ERROR(AwaitReadable(ctx, socket_.get()));
    }
  }

 private:
  const uint64_t id_;
  UniqueFd socket_;
  const Context context_;
  std::string buffer_;  // received and not yet parsed
};

class HttpServer::Exchange : public HttpExchange {
 public:
  Exchange(const Context& ctx, Connection& connection, RequestParser& parser,
           int epoll)
      : ctx_(ctx), connection_(connection), parser_(parser), epoll_(epoll) {}

  const ServerRequest& request() const override { return parser_.request(); }
  bool answered() const override { return answered_; }
  bool upgraded() const { return upgraded_; }
  bool broken() const { return broken_; }

  StatusOr<std::string> ReadSome(size_t limit) override {
    if (parser_.expects_continue() && !continued_ && !answered_) {
      continued_ = true;
      RETURN_IF_ERROR(WriteToSocket(ctx_, connection_.socket(),
                                    "HTTP/1.1 100 Continue\r\n\r\n"));
    }
    while (true) {
      StatusOr<std::string> piece =
          parser_.TakeBody(connection_.buffer(), limit);
      if (!piece.ok() || !piece->empty() || parser_.done()) {
        broken_ = broken_ || !piece.ok();
        return piece;
      }
      ASSIGN_OR_RETURN(const bool more, connection_.Fill(ctx_));
      if (!more) {
        broken_ = true;
        return Unavailable("the client went away in the middle of its request");
      }
    }
  }

  void AddHeader(const std::string& name, const std::string& value) override {
    headers_ += name + ": " + value + "\r\n";
  }

  Status Respond(int status, const std::string& type,
                 std::string_view body) override {
    const bool bodiless = status == 204 || status == 304;
    std::string answer = Head(status, type);
    if (!bodiless) {
      answer += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    }
    answer += "\r\n";
    if (!bodiless && request().method != "HEAD") answer += body;
    return Send(answer);
  }

  Status BeginStream(int status, const std::string& type) override {
    streaming_ = true;
    return Send(Head(status, type) + "Transfer-Encoding: chunked\r\n\r\n");
  }

  Status Write(std::string_view bytes) override {
    if (bytes.empty()) return OkStatus();
    char size[32];
    snprintf(size, sizeof(size), "%zx\r\n", bytes.size());
    std::string chunk = size;
    chunk += bytes;
    chunk += "\r\n";
    return Send(chunk);
  }

  StatusOr<UpgradedConnection> Upgrade(const std::string& type) override {
    upgraded_ = true;
    // From now on a client that shuts its side down has not gone away.
    epoll_ctl(epoll_, EPOLL_CTL_DEL, connection_.socket(), nullptr);
    const std::string protocol = request().Header("upgrade");
    std::string answer;
    if (protocol.empty()) {
      answer = "HTTP/1.1 200 OK\r\nContent-Type: " + type + "\r\n";
    } else {
      answer = "HTTP/1.1 101 UPGRADED\r\nContent-Type: " + type +
               "\r\nConnection: Upgrade\r\nUpgrade: " + protocol + "\r\n";
    }
    RETURN_IF_ERROR(Send(answer + headers_ + "\r\n"));
    std::string pending;
    pending.swap(connection_.buffer());
    return UpgradedConnection(connection_.TakeSocket(), std::move(pending));
  }

  // What is left to do when the handler has returned. True if the connection
  // can take another request.
  bool Finish() {
    if (upgraded_) return false;
    if (!answered_ && !Respond(500, "", "").ok()) return false;
    if (streaming_ && !Send("0\r\n\r\n").ok()) return false;
    if (broken_ || !parser_.keep_alive()) return false;
    size_t skipped = 0;
    while (!parser_.done()) {
      const StatusOr<std::string> piece = ReadSome(kReadSize);
      if (!piece.ok()) return false;
      skipped += piece->size();
      if (skipped > kMaxSkipped) return false;
    }
    return true;
  }

 private:
  std::string Head(int status, const std::string& type) const {
    std::string head = "HTTP/1.1 " + std::to_string(status) + " " +
                       Phrase(status) + "\r\nDate: " + DateNow() + "\r\n" +
                       headers_;
    if (!type.empty()) head += "Content-Type: " + type + "\r\n";
    if (!parser_.keep_alive()) head += "Connection: close\r\n";
    return head;
  }

  Status Send(std::string_view bytes) {
    answered_ = true;
    if (broken_) return Unavailable("the client is gone");
    Status status = WriteToSocket(ctx_, connection_.socket(), bytes);
    broken_ = !status.ok();
    return status;
  }

  const Context& ctx_;
  Connection& connection_;
  RequestParser& parser_;
  const int epoll_;
  std::string headers_;
  bool answered_ = false;
  bool streaming_ = false;
  bool upgraded_ = false;
  bool continued_ = false;
  bool broken_ = false;
};

HttpServer::HttpServer(Handler handler, HttpServerOptions options)
    : handler_(std::move(handler)),
      options_(options),
      root_(Context::Background("http").WithCancel()) {}

HttpServer::~HttpServer() { Shutdown(); }

Status HttpServer::Listen(const std::string& path, mode_t mode) {
  ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  if (SomebodyListens(address)) {
    return AlreadyExists("socket " + Quoted(path) + " is in use");
  }
  unlink(path.c_str());
  listener_.reset(
      socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener_.valid()) return Errno(errno, "make a socket");
  // Nobody but us until it has its own mode: fchmod(2) on a socket does not
  // reach the file.
  const mode_t mask = umask(0177);
  const int bound =
      bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address),
           sizeof(address));
  const int error = errno;
  umask(mask);
  if (bound != 0) return Errno(error, "bind " + Quoted(path));
  path_ = path;
  if (chmod(path.c_str(), mode) != 0) {
    return Errno(errno, "change the mode of " + Quoted(path));
  }
  if (listen(listener_.get(), SOMAXCONN) != 0) {
    return Errno(errno, "listen on " + Quoted(path));
  }
  epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.valid()) return Errno(errno, "make an epoll instance");
  epoll_event stop = {EPOLLIN, {.u64 = 0}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, root_.cancel_fd(), &stop) != 0) {
    return Errno(errno, "watch for the end");
  }
  acceptor_ = std::thread([this] { Accept(); });
  watcher_ = std::thread([this] { Watch(); });
  return OkStatus();
}

void HttpServer::Accept() {
  while (AwaitReadable(root_, listener_.get()).ok()) {
    UniqueFd socket(accept4(listener_.get(), nullptr, nullptr,
                            SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket.valid()) {
      // Out of descriptors: the ones in use will be given back.
      if (errno == EMFILE || errno == ENFILE) poll(nullptr, 0, 50);
      continue;
    }
    MutexLock lock(mutex_);
    // Refused by closing it.
    if (stopping_ || connections_.size() >= options_.max_connections) continue;
    const uint64_t id = next_id_++;
    auto connection =
        std::make_shared<Connection>(id, std::move(socket), root_);
    connections_.emplace(id, connection);
    std::thread([this, connection] { Serve(connection); }).detach();
  }
}

// Cancels the context of a connection whose client is gone. It sees those
// alone whose handler is running.
void HttpServer::Watch() {
  epoll_event events[16];
  while (!root_.cancelled()) {
    const int n = epoll_wait(epoll_.get(), events, 16, -1);
    for (int i = 0; i < n; ++i) {
      std::shared_ptr<Connection> connection;
      {
        MutexLock lock(mutex_);
        const auto found = connections_.find(events[i].data.u64);
        if (found != connections_.end()) connection = found->second;
      }
      if (connection != nullptr) connection->context().Cancel();
    }
  }
}

void HttpServer::Serve(std::shared_ptr<Connection> connection) {
  while (ServeOne(*connection)) {
  }
  const uint64_t id = connection->id();
  connection.reset();
  Finished(id);
}

// The last thing that a connection's thread does.
void HttpServer::Finished(uint64_t id) {
  MutexLock lock(mutex_);
  connections_.erase(id);
  idle_.SignalAll();
}

bool HttpServer::ServeOne(Connection& connection) {
  const Context& ctx = connection.context();
  RequestParser parser(options_.max_header_bytes);
  if (connection.buffer().empty() &&
      !AwaitReadable(ctx, connection.socket()).ok()) {
    return false;
  }
  const Context in_time = ctx.WithTimeout(options_.header_time_limit);
  while (true) {
    const StatusOr<bool> complete = parser.TakeHead(connection.buffer());
    if (!complete.ok()) {
      Exchange refusal(ctx, connection, parser, epoll_.get());
      const int status =
          complete.status().code() == StatusCode::kResourceExhausted ? 431
                                                                     : 400;
      // The client is told if it still listens; the connection ends anyway.
      (void)refusal.Respond(status, "text/plain; charset=utf-8",
                            Message(complete.status()) + "\n");
      return false;
    }
    if (*complete) break;
    const StatusOr<bool> more = connection.Fill(in_time);
    if (!more.ok() || !*more) return false;
  }

  epoll_event gone = {EPOLLRDHUP | EPOLLONESHOT, {.u64 = connection.id()}};
  const int socket = connection.socket();
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket, &gone);
  Exchange exchange(ctx, connection, parser, epoll_.get());
  handler_(ctx, exchange);
  if (exchange.upgraded()) return false;
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, socket, nullptr);
  return exchange.Finish();
}

void HttpServer::Shutdown() {
  {
    MutexLock lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  root_.Cancel();
  if (acceptor_.joinable()) acceptor_.join();
  if (watcher_.joinable()) watcher_.join();
  {
    MutexLock lock(mutex_);
    while (!connections_.empty()) idle_.Wait(mutex_);
  }
  listener_.reset();
  if (!path_.empty()) unlink(path_.c_str());
}

}  // namespace berth
