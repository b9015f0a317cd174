// HTTP/1.1 for a local API. Beast parses; one thread serves one connection.
#ifndef BASE_HTTP_HTTP_SERVER_H_
#define BASE_HTTP_HTTP_SERVER_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/http/upgrade.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace berth {

// The head of a request.
struct ServerRequest {
  std::string method;  // as sent: "GET"
  std::string path;    // %XX decoded, without the query; begins with '/'
  std::map<std::string, std::vector<std::string>, std::less<>> query;
  // Names in lower case, in the order of arrival.
  std::vector<std::pair<std::string, std::string>> headers;

  // The first of that name; "" if there is none.
  std::string Header(std::string_view name) const;
  std::string Query(std::string_view name) const;
  bool HasQuery(std::string_view name) const;
};

// One request and its answer, in the thread of its connection. Exactly one of
// Respond, BeginStream and Upgrade; a handler that calls none of them answers
// 500. Single-threaded, except that Write may be called from one other thread.
//
// An error of any of these means that the client is gone, broke the protocol
// or that the context ended: give up.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;

  virtual const ServerRequest& request() const = 0;

  // The next bytes of the body, at most `limit`; empty at its end.
  virtual StatusOr<std::string> ReadSome(size_t limit) = 0;
  // All of it; RESOURCE_EXHAUSTED if there is more than `limit`.
  StatusOr<std::string> ReadBody(size_t limit);

  // Of the answer; before it begins.
  virtual void AddHeader(const std::string& name, const std::string& value) = 0;
  // A whole answer. `type` may be empty. HEAD gets the head alone.
  virtual Status Respond(int status, const std::string& type,
                         std::string_view body) = 0;
  // An answer in chunks, whose head is sent at once; it ends when the handler
  // returns.
  virtual Status BeginStream(int status, const std::string& type) = 0;
  virtual Status Write(std::string_view bytes) = 0;
  // Ends HTTP on this connection: 101 if the client asked for an upgrade, else
  // 200 and bytes until it is closed.
  virtual StatusOr<UpgradedConnection> Upgrade(const std::string& type) = 0;

  // Whether an answer has begun.
  virtual bool answered() const = 0;
};

// "%41+b" -> "A b" if `plus_is_blank`, else "A+b". Bad escapes stay as they
// are.
std::string UrlDecode(std::string_view text, bool plus_is_blank);

struct HttpServerOptions {
  size_t max_connections = 1024;
  size_t max_header_bytes = 128 << 10;
  // From the first byte of a request to the end of its head.
  Duration header_time_limit = std::chrono::seconds(30);
};

// Serves one Unix socket. Thread-safe.
class HttpServer {
 public:
  // Called on the connection's thread; its context is cancelled when the
  // client goes away (not after Upgrade) or the server shuts down.
  using Handler = std::function<void(const Context&, HttpExchange&)>;

  explicit HttpServer(Handler handler, HttpServerOptions options = {});
  ~HttpServer();  // Shutdown
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Makes the socket (replacing a dead one) with this mode, and serves it.
  // ALREADY_EXISTS if another process listens on it.
  Status Listen(const std::string& path, mode_t mode);

  // Cancels what runs and waits until no handler is left.
  void Shutdown();

 private:
  class Connection;
  class Exchange;

  void Accept();
  void Watch();
  void Serve(std::shared_ptr<Connection> connection);
  bool ServeOne(Connection& connection);
  void Finished(uint64_t id);

  const Handler handler_;
  const HttpServerOptions options_;
  const Context root_;
  std::string path_;
  UniqueFd listener_;
  UniqueFd epoll_;
  std::thread acceptor_;
  std::thread watcher_;

  Mutex mutex_;
  CondVar idle_;
  uint64_t next_id_ GUARDED_BY(mutex_) = 1;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::map<uint64_t, std::shared_ptr<Connection>> connections_
      GUARDED_BY(mutex_);
};

}  // namespace berth

#endif  // BASE_HTTP_HTTP_SERVER_H_
