#include "door/http/http_server.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/contain.h"
#include "base/strings.h"
#include "door/http/connection.h"
#include "door/http/exchange.h"

namespace berth::door {
namespace {

// What epoll's events are about; connections are numbered from kFirstId on.
constexpr uint64_t kStop = 0;
constexpr uint64_t kListener = 1;
constexpr uint64_t kTimer = 2;
constexpr uint64_t kFirstId = 16;
// What a client sends in a row finds the thread of its last request.
constexpr Duration kThreadIdle = std::chrono::seconds(2);
// Requests that wait for the spare thread.
constexpr size_t kSpareLine = 64;

constexpr char kBusyAnswer[] =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
    "Content-Length: 47\r\nConnection: close\r\n\r\n"
    "{\"message\":\"too many requests, or no threads\"}\n";

// Each connection has two descriptors, and a request some more.
HttpServerOptions WithinDescriptorLimit(HttpServerOptions options) {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return options;
  options.max_waiting =
      std::clamp<size_t>(limit.rlim_cur / 8, 1, options.max_waiting);
  options.max_requests =
      std::clamp<size_t>(limit.rlim_cur / 4, 1, options.max_requests);
  options.max_streams =
      std::clamp<size_t>(limit.rlim_cur / 6, 1, options.max_streams);
  return options;
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

// What a thread of the pool does for a connection.
class HttpServer::Request final : public WorkerPool::Job {
 public:
  Request(HttpServer& server, Shared connection, Status head)
      : server_(server),
        connection_(std::move(connection)),
        head_(std::move(head)) {}

  void Work() override {
    const std::unique_ptr<Request> self(this);
    server_.Serve(connection_, head_);
  }

 private:
  HttpServer& server_;
  const Shared connection_;
  const Status head_;
};

HttpServer::HttpServer(Handler handler, HttpServerOptions options)
    : handler_(std::move(handler)),
      options_(options),
      root_(Context::Background("").WithCancel()),
      next_id_(kFirstId) {}

HttpServer::~HttpServer() { Shutdown(); }

Status HttpServer::Listen(const std::string& path, mode_t mode) {
  ASSIGN_OR_RETURN(listener_, Listener::OnUnix(path, mode));
  return Start();
}

Status HttpServer::Listen(Listener listener) {
  listener_ = std::move(listener);
  return Start();
}

Status HttpServer::Start() {
  options_ = WithinDescriptorLimit(options_);
  epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.valid()) return Errno(errno, "make an epoll instance");
  timer_.reset(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer_.valid()) return Errno(errno, "make a timer");
  RETURN_IF_ERROR(Watch(EPOLL_CTL_ADD, root_.cancel_fd(), EPOLLIN, kStop));
  if (listener_.fd() >= 0) {
    RETURN_IF_ERROR(Watch(EPOLL_CTL_ADD, listener_.fd(), EPOLLIN, kListener));
  }
  RETURN_IF_ERROR(Watch(EPOLL_CTL_ADD, timer_.get(), EPOLLIN, kTimer));
  pool_ = std::make_unique<WorkerPool>(
      WorkerPool::Options{.name = "http",
                          .limit = options_.max_requests,
                          .idle_limit = kThreadIdle});
  ASSIGN_OR_RETURN(spare_, StartThread("http-spare", [this] { ServeLine(); }));
  ASSIGN_OR_RETURN(loop_, StartThread("http-loop", [this] { Loop(); }));
  return OkStatus();
}

Status HttpServer::Watch(int operation, int fd, uint32_t events, uint64_t id) {
  epoll_event event = {events, {.u64 = id}};
  if (epoll_ctl(epoll_.get(), operation, fd, &event) == 0) return OkStatus();
  return Errno(errno, "watch a connection");
}

void HttpServer::Loop() {
  epoll_event events[64];
  while (!root_.cancelled()) {
    const int n = epoll_wait(epoll_.get(), events, 64, -1);
    for (int i = 0; i < n && !root_.cancelled(); ++i) {
      const uint64_t id = events[i].data.u64;
      if (id == kListener) {
        Accept();
      } else if (id == kTimer) {
        CloseExpired();
      } else if (const Shared connection = Find(id)) {
        Receive(connection);
      }
    }
  }
}

void HttpServer::Accept() {
  const Status accepted =
      listener_.Accept([this](UniqueFd socket) { Take(std::move(socket)); },
                       [this] { return MakeRoom(1); });
  if (accepted.ok()) return;
  // Descriptors in use will be given back.
  (void)Watch(EPOLL_CTL_MOD, listener_.fd(), 0, kListener);
  MutexLock lock(mutex_);
  SetTimer(std::chrono::steady_clock::now() + Listener::kPause);
}

void HttpServer::Take(UniqueFd socket) {
  MakeRoom(options_.max_waiting);
  Context context = root_.WithCancel();
  while (context.cancel_fd() < 0 && MakeRoom(1)) context = root_.WithCancel();
  if (context.cancel_fd() < 0) return;
  MutexLock lock(mutex_);
  if (stopping_) return;
  const uint64_t id = next_id_++;
  const auto connection = std::make_shared<Connection>(
      id, std::move(socket), std::move(context), options_.max_header_bytes);
  if (!Watch(EPOLL_CTL_ADD, connection->socket(), EPOLLIN, id).ok()) return;
  connections_.emplace(id, connection);
  ++counts_[connection->state];
  connection->since = std::chrono::steady_clock::now();
  SetTimer(ExpiryOf(*connection));
}

// True if there are fewer than `most` that wait, or one less than before.
bool HttpServer::MakeRoom(size_t most) {
  MutexLock lock(mutex_);
  if (counts_[kIdle] + counts_[kHead] < most) return most > 1;
  Shared longest;
  for (const auto& [id, connection] : connections_) {
    if (connection->state > kHead) continue;
    if (longest == nullptr || connection->since < longest->since) {
      longest = connection;
    }
  }
  if (longest == nullptr) return false;
  Erase(*longest);
  return true;
}

void HttpServer::Receive(const Shared& connection) {
  {
    MutexLock lock(mutex_);
    // Watched for its end alone.
    if (connection->state > kHead) return connection->context().Cancel();
  }
  const StatusOr<bool> more = connection->Receive();
  if (!more.ok() && ErrnoOf(more.status()) == 0) return;
  if (!more.ok() || !*more) return Close(connection);
  const StatusOr<bool> complete = Contain(
      [&] { return connection->parser().TakeHead(connection->buffer()); });
  if (complete.ok() && !*complete) return Wait(connection);
  Dispatch(connection, complete.status());
}

void HttpServer::Dispatch(const Shared& connection, const Status& head) {
  bool full = false;
  {
    MutexLock lock(mutex_);
    if (!Has(*connection)) return;
    full = counts_[kBusy] + counts_[kStreams] >= options_.max_requests;
    SetState(*connection, kBusy);
  }
  (void)Watch(EPOLL_CTL_MOD, connection->socket(), EPOLLRDHUP | EPOLLONESHOT,
              connection->id());
  if (!full && StartServing(connection, head).ok()) return;
  // It fits into the socket's buffer, or the client does not listen.
  (void)send(connection->socket(), kBusyAnswer, sizeof(kBusyAnswer) - 1,
             MSG_NOSIGNAL | MSG_DONTWAIT);
  Close(connection);
}

Status HttpServer::StartServing(const Shared& connection, const Status& head) {
  connection->on_spare = false;
  auto request = std::make_unique<Request>(*this, connection, head);
  const Status begun = pool_->Run(request.get());
  if (begun.ok()) {
    (void)request.release();  // deletes itself
    return OkStatus();
  }
  MutexLock lock(mutex_);
  if (line_.size() >= kSpareLine) return begun;
  connection->on_spare = true;
  line_.emplace_back(connection, head);
  lined_up_.Signal();
  return OkStatus();
}

void HttpServer::ServeLine() {
  while (true) {
    std::pair<Shared, Status> next;
    {
      MutexLock lock(mutex_);
      while (line_.empty() && !stopping_) lined_up_.Wait(mutex_);
      if (line_.empty()) return;
      next = std::move(line_.front());
      line_.pop_front();
    }
    Serve(next.first, next.second);
  }
}

void HttpServer::CloseExpired() {
  uint64_t times;
  (void)!read(timer_.get(), &times, sizeof(times));
  if (listener_.fd() >= 0) {
    (void)Watch(EPOLL_CTL_MOD, listener_.fd(), EPOLLIN, kListener);
  }
  const SteadyTime now = std::chrono::steady_clock::now();
  MutexLock lock(mutex_);
  timer_at_ = SteadyTime::max();
  std::vector<Shared> expired;
  SteadyTime next = SteadyTime::max();
  for (const auto& [id, connection] : connections_) {
    const SteadyTime expiry = ExpiryOf(*connection);
    if (expiry <= now) {
      expired.push_back(connection);
    } else {
      next = std::min(next, expiry);
    }
  }
  for (const Shared& connection : expired) Erase(*connection);
  SetTimer(next);
}

void HttpServer::Serve(const Shared& connection, const Status& head) {
  const StatusOr<bool> again =
      Contain([&]() -> StatusOr<bool> { return ServeAll(*connection, head); });
  if (again.ok() && *again) return Wait(connection);
  Close(connection);
}

// The request, and those that the client has sent right behind it. True if the
// connection can wait for more.
bool HttpServer::ServeAll(Connection& connection, Status head) {
  while (head.ok()) {
    if (!ServeOne(connection)) return false;
    connection.BeginRequest();
    if (connection.buffer().empty()) return true;
    const StatusOr<bool> complete =
        connection.parser().TakeHead(connection.buffer());
    if (complete.ok() && !*complete) return true;
    head = complete.status();
  }
  Exchange(connection, options_, nullptr).RefuseHead(head);
  return false;
}

bool HttpServer::ServeOne(Connection& connection) {
  Exchange exchange(connection, options_, [&](bool upgrade) {
    return TakePlace(connection, upgrade);
  });
  const Status done = Contain([&] {
    handler_(connection.context(), exchange);
    return OkStatus();
  });
  if (!done.ok()) {
    dprintf(STDERR_FILENO, "http: a request ended by %s\n",
            Message(done).c_str());
    exchange.Fail(done);
  }
  return exchange.Finish() && !connection.context().cancelled();
}

Status HttpServer::TakePlace(Connection& connection, bool upgrade) {
  if (connection.on_spare) {
    return Unavailable("there is no thread for a stream");
  }
  if (upgrade) {
    (void)Watch(EPOLL_CTL_DEL, connection.socket(), 0, 0);
  }
  MutexLock lock(mutex_);
  if (counts_[kStreams] >= options_.max_streams) {
    Shared oldest;
    for (const auto& [id, other] : connections_) {
      if (other->state != kStreams || other->context().cancelled() ||
          PeerHasRead(other->socket())) {
        continue;
      }
      if (oldest == nullptr || other->since < oldest->since) oldest = other;
    }
    if (oldest == nullptr) {
      return Unavailable("too many streams are open: " +
                         std::to_string(options_.max_streams));
    }
    oldest->context().Cancel();
  }
  SetState(connection, kStreams);
  return OkStatus();
}

HttpServer::Shared HttpServer::Find(uint64_t id) {
  MutexLock lock(mutex_);
  const auto found = connections_.find(id);
  return found == connections_.end() ? nullptr : found->second;
}

void HttpServer::SetState(Connection& connection, ConnectionState state) {
  if (connection.state == state) return;
  --counts_[connection.state];
  ++counts_[state];
  connection.state = state;
  connection.since = std::chrono::steady_clock::now();
}

void HttpServer::Wait(const Shared& connection) {
  MutexLock lock(mutex_);
  if (!Has(*connection)) return;
  if (stopping_ || connection->context().cancelled() ||
      !Watch(EPOLL_CTL_MOD, connection->socket(), EPOLLIN, connection->id())
           .ok()) {
    return Erase(*connection);
  }
  SetState(*connection, connection->buffer().empty() ? kIdle : kHead);
  SetTimer(ExpiryOf(*connection));
}

void HttpServer::Close(const Shared& connection) {
  MutexLock lock(mutex_);
  Erase(*connection);
}

// Not if it had to make room: Take does so on another thread, while the loop
// may be receiving from it.
bool HttpServer::Has(const Connection& connection) const {
  return connections_.count(connection.id()) > 0;
}

void HttpServer::Erase(Connection& connection) {
  if (connections_.erase(connection.id()) == 0) return;
  --counts_[connection.state];
  closed_.SignalAll();
}

void HttpServer::SetTimer(SteadyTime at) {
  if (at >= timer_at_) return;
  timer_at_ = at;
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                      at.time_since_epoch())
                      .count();
  itimerspec spec = {};
  spec.it_value.tv_sec = ns / 1000000000;
  spec.it_value.tv_nsec = ns % 1000000000;
  timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

SteadyTime HttpServer::ExpiryOf(const Connection& connection) const {
  switch (connection.state) {
    case kIdle:
      return connection.since + options_.idle_limit;
    case kHead:
      return connection.since + options_.header_time_limit;
    default:
      return SteadyTime::max();
  }
}

void HttpServer::Shutdown() {
  {
    MutexLock lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  root_.Cancel();
  loop_.Join();
  lined_up_.SignalAll();
  spare_.Join();
  {
    MutexLock lock(mutex_);
    std::vector<Shared> waiting;
    for (const auto& [id, connection] : connections_) {
      if (connection->state <= kHead) waiting.push_back(connection);
    }
    for (const Shared& connection : waiting) Erase(*connection);
    while (!connections_.empty()) closed_.Wait(mutex_);
  }
  pool_.reset();
  listener_.Close();
}

}  // namespace berth::door
