// HTTP/1.1 for a local API. Beast parses; one thread serves one request.
#ifndef DOOR_HTTP_HTTP_SERVER_H_
#define DOOR_HTTP_HTTP_SERVER_H_

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "door/http/upgrade.h"
#include "door/listener.h"
#include "door/worker_pool.h"

namespace berth::door {

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
};

// One request and its answer, in a thread of its own. Exactly one of Respond,
// BeginStream and Upgrade; a handler that calls none of them answers 500.
// Single-threaded, except that Write may be called from one other thread.
//
// An error of any of these means that the client is gone, broke the protocol
// or that the context ended: give up. BeginStream and Upgrade may fail with
// UNAVAILABLE when too many streams are open: nothing has been answered then.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;

  virtual const ServerRequest& request() const = 0;

  // The next bytes of the body, at most `limit`; empty at its end.
  // DEADLINE_EXCEEDED if they come too slowly, see HttpServerOptions.
  virtual StatusOr<std::string> ReadSome(size_t limit) = 0;
  // All of it. RESOURCE_EXHAUSTED if there is more than `limit`, and
  // `body_too_long` then: the answer should be 413. The time for it is half a
  // minute, and a second more for each KiB.
  virtual StatusOr<std::string> ReadBody(size_t limit) = 0;
  virtual bool body_too_long() const = 0;

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
  // 200 and bytes until it is closed. `type` may be empty. Valid until the
  // handler returns.
  virtual StatusOr<UpgradedConnection> Upgrade(const std::string& type) = 0;

  // Whether an answer has begun.
  virtual bool answered() const = 0;
};

// "%41+b" -> "A b" if `plus_is_blank`, else "A+b". Bad escapes stay as they
// are.
std::string UrlDecode(std::string_view text, bool plus_is_blank);

struct HttpServerOptions {
  // Connections between requests. One more closes the one that has waited
  // longest: a client that holds many costs no other client its own.
  size_t max_waiting = 1024;
  // Requests at work; one more is answered 503. Of these, `max_streams` may
  // have answers without an end: one more ends the oldest of those whose
  // client does not read, and is refused if all of them read.
  size_t max_requests = 4096;
  size_t max_streams = 3072;
  size_t max_header_bytes = 128 << 10;
  // From the first byte of a request to the end of its head.
  Duration header_time_limit = std::chrono::seconds(30);
  // Between requests, and before the first.
  Duration idle_limit = std::chrono::minutes(10);
  // Waiting for a body's bytes uses this up, each KiB that comes gives a
  // second back.
  Duration body_patience = std::chrono::minutes(5);
  // Of a client that takes no byte of a whole answer.
  Duration write_patience = std::chrono::minutes(1);
};

// Serves a Unix socket, and what TcpFront accepts. One thread accepts
// connections and receives the heads of requests; each request then has a
// thread of a pool until it is answered. While the kernel gives none, a spare
// thread answers them one after another, streams and upgrades excepted: those
// are answered 503, as is everything once the spare's line is long. An
// exception that leaves the handler is its request's end, with 500.
//
// The limits are lowered to what RLIMIT_NOFILE leaves. Thread-safe.
class HttpServer {
 public:
  // Called on the request's thread; its context is cancelled when the client
  // goes away (not after Upgrade) or the server shuts down.
  using Handler = std::function<void(const Context&, HttpExchange&)>;

  explicit HttpServer(Handler handler, HttpServerOptions options = {});
  ~HttpServer();  // Shutdown
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Makes the socket (replacing a dead one) with this mode, and serves it.
  // ALREADY_EXISTS if another process listens on it; RESOURCE_EXHAUSTED if
  // there is no thread to be had.
  Status Listen(const std::string& path, mode_t mode);
  Status Listen(Listener listener);
  // Instead of Listen: serves what Take is given, and nothing else.
  Status Start();

  // Serves a connection that another accepted: a stream socket, non-blocking.
  // After Listen or Start.
  void Take(UniqueFd socket);

  // Cancels what runs and waits until no handler is left.
  void Shutdown();

 private:
  class Connection;
  class Exchange;
  class Request;
  using Shared = std::shared_ptr<Connection>;
  enum ConnectionState {
    kIdle,     // nothing of a request has come
    kHead,     // a part of its head
    kBusy,     // a thread serves it
    kStreams,  // the same, and the answer may last for ever
  };

  Status Watch(int operation, int fd, uint32_t events, uint64_t id);

  // On the loop's thread.
  void Loop();
  void Accept() EXCLUDES(mutex_);
  bool MakeRoom(size_t most) EXCLUDES(mutex_);
  void Receive(const Shared& connection) EXCLUDES(mutex_);
  void Dispatch(const Shared& connection, const Status& head) EXCLUDES(mutex_);
  Status StartServing(const Shared& connection, const Status& head)
      EXCLUDES(mutex_);
  void CloseExpired() EXCLUDES(mutex_);

  // On the thread of a request.
  void Serve(const Shared& connection, const Status& head);
  bool ServeAll(Connection& connection, Status head);
  bool ServeOne(Connection& connection);
  Status TakePlace(Connection& connection, bool upgrade) EXCLUDES(mutex_);
  // On the spare thread.
  void ServeLine() EXCLUDES(mutex_);

  // Only the thread that has the connection: the loop's, or its request's.
  void Wait(const Shared& connection) EXCLUDES(mutex_);
  void Close(const Shared& connection) EXCLUDES(mutex_);
  void SetState(Connection& connection, ConnectionState state) REQUIRES(mutex_);
  bool Has(const Connection& connection) const REQUIRES(mutex_);
  void Erase(Connection& connection) REQUIRES(mutex_);
  Shared Find(uint64_t id) EXCLUDES(mutex_);
  void SetTimer(SteadyTime at) REQUIRES(mutex_);
  SteadyTime ExpiryOf(const Connection& connection) const;

  const Handler handler_;
  HttpServerOptions options_;
  const Context root_;
  Listener listener_;
  UniqueFd epoll_;
  UniqueFd timer_;
  Thread loop_;
  Thread spare_;
  // Of requests; destroyed by Shutdown.
  std::unique_ptr<WorkerPool> pool_;

  Mutex mutex_;
  CondVar closed_;
  CondVar lined_up_;
  uint64_t next_id_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::map<uint64_t, Shared> connections_ GUARDED_BY(mutex_);
  // Requests for the spare thread.
  std::deque<std::pair<Shared, Status>> line_ GUARDED_BY(mutex_);
  // How many there are of each ConnectionState.
  std::array<size_t, 4> counts_ GUARDED_BY(mutex_) = {};
  SteadyTime timer_at_ GUARDED_BY(mutex_) = SteadyTime::max();
};

}  // namespace berth::door

#endif  // DOOR_HTTP_HTTP_SERVER_H_
