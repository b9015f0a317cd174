#include "cri/streaming/streaming_server.h"

#include <poll.h>
#include <signal.h>

#include <utility>
#include <vector>

#include "base/strings.h"
#include "door/call_frame.h"
#include "door/listener.h"
#include "door/stream/forward.h"
#include "door/stream/forward_channel.h"
#include "door/stream/pump.h"
#include "sandbox/ids.h"
#include "sandbox/resource/port_socket.h"

namespace berth::cri {
namespace {

using sandbox::ContainerId;
using sandbox::StreamSession;

// Clients that have not opened all their streams, and how long they may take.
constexpr size_t kMaxOpening = 256;
constexpr Duration kOpenLimit = std::chrono::seconds(30);
// For a process to start, and for a shim that does not answer.
constexpr Duration kStartLimit = std::chrono::minutes(2);
constexpr Duration kShimLimit = std::chrono::seconds(10);
// For the client to read the last words.
constexpr Duration kEndLimit = std::chrono::minutes(1);
constexpr Duration kLateEndLimit = std::chrono::seconds(1);
// A process that has closed its outputs and goes on is waited for in steps, for
// its client may leave.
constexpr Duration kWaitStep = std::chrono::seconds(10);
// Connections of one client: each has a descriptor.
constexpr size_t kMaxForwarded = 256;
// Besides those of streams that are open.
constexpr size_t kMoreRequests = 256;

door::HttpServerOptions ServerOptions(const StreamingOptions& options) {
  door::HttpServerOptions server;
  server.max_streams = options.streams;
  server.max_requests = options.streams + kMoreRequests;
  server.idle_limit = std::chrono::minutes(1);
  return server;
}

// What is to be dialled to reach a listener of all addresses.
std::string Reachable(const std::string& address) {
  if (StartsWith(address, "0.0.0.0:")) return "127.0.0.1" + address.substr(7);
  if (StartsWith(address, "[::]:")) return "[::1]" + address.substr(4);
  return address;
}

int HttpStatus(const Status& status) {
  switch (status.code()) {
    case StatusCode::kInvalidArgument:
      return 400;
    case StatusCode::kPermissionDenied:
      return 403;
    case StatusCode::kNotFound:
      return 404;
    case StatusCode::kUnavailable:
    case StatusCode::kResourceExhausted:
      return 503;
    default:
      return 500;
  }
}

// "/exec/TOKEN" -> 0, by the order of StreamRequest's types.
std::optional<size_t> KindOf(const std::string& path) {
  if (StartsWith(path, "/exec/")) return 0;
  if (StartsWith(path, "/attach/")) return 1;
  if (StartsWith(path, "/portforward/")) return 2;
  return std::nullopt;
}

const char* PathOf(const StreamRequest& request) {
  constexpr const char* kPaths[] = {"/exec/", "/attach/", "/portforward/"};
  return kPaths[request.index()];
}

const char* NameOf(const StreamRequest& request) {
  constexpr const char* kNames[] = {"ExecStream", "AttachStream",
                                    "PortForwardStream"};
  return kNames[request.index()];
}

template <typename Request>
door::PumpOptions PumpOptionsOf(const Request& request, Duration idle_limit) {
  door::PumpOptions options;
  options.want_stdin = request.stdin();
  options.want_stdout = request.stdout();
  options.want_stderr = request.stderr();
  // Who types at a terminal ends the program by a key.
  options.close_stdin = !request.tty();
  options.idle_limit = idle_limit;
  return options;
}

template <typename Request>
door::CommandStreams StreamsOf(const Request& request) {
  return {request.stdin(), request.stdout(), request.stderr(), request.tty()};
}

// The exit code of a process whose outputs have ended, or why it cannot be
// learned. Nothing if its client leaves before.
std::optional<door::StreamEnd> AwaitExit(const Context& ctx,
                                         const StreamSession& session,
                                         int client) {
  while (true) {
    const StatusOr<int> code = session.Wait(ctx.WithTimeout(kWaitStep));
    if (code.ok()) return *code;
    if (!ctx.Check().ok() ||
        code.status().code() != StatusCode::kDeadlineExceeded) {
      return code.status();
    }
    pollfd polled = {client, POLLRDHUP, 0};
    if (poll(&polled, 1, 0) > 0) return std::nullopt;
  }
}

// Why the pump stopped though client and process are there; OK if one of them
// has ended it. A client that is told nothing takes that for success.
Status BrokenOff(const StatusOr<door::PumpEnd>& pumped) {
  if (!pumped.ok()) return pumped.status();
  if (*pumped != door::PumpEnd::kIdle) return OkStatus();
  return DeadlineExceeded("nothing was sent either way for long");
}

// For the last words: when the server ends, those that read get them.
Context EndContext(const Context& ctx) {
  if (ctx.Check().ok()) return ctx.WithTimeout(kEndLimit);
  return Context::Background("stream").WithTimeout(kLateEndLimit);
}

}  // namespace

StreamingServer::StreamingServer(StreamingOptions options,
                                 sandbox::ContainerStreams streams,
                                 const sandbox::Inventory& inventory)
    : options_(std::move(options)),
      streams_(streams),
      inventory_(inventory),
      log_("cri", /*queries=*/true, options_.counts),
      opening_(kMaxOpening),
      server_([this](const Context& ctx,
                     door::HttpExchange& http) { Serve(ctx, http); },
              ServerOptions(options_)) {}

StreamingServer::~StreamingServer() { Shutdown(); }

Status StreamingServer::Listen() {
  std::unique_ptr<door::TlsReloader> tls;
  if (options_.tls.has_value()) {
    ASSIGN_OR_RETURN(tls, door::TlsReloader::Load(*options_.tls));
  }
  RETURN_IF_ERROR(server_.Start());
  ASSIGN_OR_RETURN(door::Listener listener,
                   door::Listener::OnTcp(options_.address));
  ASSIGN_OR_RETURN(const std::string address, listener.Address());
  base_url_ = (tls != nullptr ? "https://" : "http://") + Reachable(address);
  door::TcpFrontOptions front;
  front.max_connections = options_.streams + kMoreRequests;
  ASSIGN_OR_RETURN(
      front_, door::TcpFront::Start(std::move(listener), std::move(tls), front,
                                    [this](UniqueFd socket) {
                                      server_.Take(std::move(socket));
                                    }));
  return OkStatus();
}

StatusOr<std::string> StreamingServer::UrlFor(StreamRequest request) {
  const std::string path = PathOf(request);
  ASSIGN_OR_RETURN(const std::string token, tokens_.Issue(std::move(request)));
  return base_url_ + path + token;
}

void StreamingServer::Shutdown() {
  server_.Shutdown();
  if (front_ != nullptr) front_->Stop();
}

void StreamingServer::Serve(const Context& ctx, door::HttpExchange& http) {
  const door::ServerRequest& asked = http.request();
  std::optional<StreamRequest> request;
  const std::optional<size_t> kind = KindOf(asked.path);
  const bool method = asked.method == "GET" || asked.method == "POST";
  if (kind.has_value() && method) {
    request = tokens_.Redeem(asked.path.substr(asked.path.rfind('/') + 1));
  }
  // The path is a secret: the line has the object instead.
  door::CallFrame frame(log_, ctx,
                        request.has_value() ? NameOf(*request) : "Stream", "");
  const Status status = frame.Run([&]() -> Status {
    if (kind.has_value() && !method) {
      return InvalidArgument("the method must be GET or POST");
    }
    if (!request.has_value() || request->index() != *kind) {
      return NotFound("there is no such stream, or none any more");
    }
    return std::visit(
        [&](const auto& message) {
          frame.SetObject(door::ObjectOf(message));
          return Stream(ctx, http, message);
        },
        *request);
  });
  if (!status.ok() && !http.answered()) {
    // The client may be gone: nothing to be done then.
    (void)http.Respond(HttpStatus(status), "text/plain; charset=utf-8",
                       Message(status) + "\n");
  }
  frame.Finish(status);
}

StatusOr<StreamingServer::Channel> StreamingServer::Open(
    const Context& ctx, door::HttpExchange& http,
    const door::CommandStreams& streams) {
  const Context opening = ctx.WithCancel().WithTimeout(kOpenLimit);
  const door::StreamPlaces::Place place(opening_, opening);
  StatusOr<Channel> channel = door::OpenCommandChannel(opening, http, streams);
  if (!channel.ok() && place.lost()) {
    return ResourceExhausted(
        "too many clients have not opened their streams: a newer one has taken "
        "the place of this one");
  }
  return channel;
}

Status StreamingServer::Stream(const Context& ctx, door::HttpExchange& http,
                               const v1::ExecRequest& request) {
  ASSIGN_OR_RETURN(const Channel client, Open(ctx, http, StreamsOf(request)));
  sandbox::ExecConfig config;
  config.args.assign(request.cmd().begin(), request.cmd().end());
  config.tty = request.tty();
  config.stdin = request.stdin();
  // Its end is the process's, whoever wants what it says.
  config.stdout = true;
  config.stderr = request.stderr();
  StatusOr<StreamSession> session =
      streams_.Exec(ctx.WithTimeout(kStartLimit),
                    ContainerId(request.container_id()), config);
  if (!session.ok()) {
    RETURN_IF_ERROR(client->End(ctx.WithTimeout(kEndLimit), session.status()));
    return session.status();
  }
  const StatusOr<door::PumpEnd> end = door::Pump(
      ctx, *client, *session, PumpOptionsOf(request, options_.idle_limit));
  std::optional<door::StreamEnd> ended;
  if (end.ok() && *end == door::PumpEnd::kOutputsEnded) {
    ended = AwaitExit(ctx, *session, client->client().fd());
  } else if (const Status broken = BrokenOff(end); !broken.ok()) {
    ended = broken;
  }
  if (ended.has_value()) {
    const Status told = client->End(EndContext(ctx), *ended);
    if (ended->ok()) return told;
  }
  // The process goes on without its client, which it is told.
  const Context last = Context::Background("stream").WithTimeout(kShimLimit);
  if (request.tty()) (void)session->Signal(last, SIGHUP);
  if (request.stdin()) (void)session->CloseStdin(last);
  return ended.has_value() ? ended->status() : OkStatus();
}

Status StreamingServer::Stream(const Context& ctx, door::HttpExchange& http,
                               const v1::AttachRequest& request) {
  ASSIGN_OR_RETURN(const Channel client, Open(ctx, http, StreamsOf(request)));
  StatusOr<StreamSession> session =
      streams_.Attach(ctx.WithTimeout(kStartLimit),
                      ContainerId(request.container_id()), request.stdin());
  if (!session.ok()) {
    RETURN_IF_ERROR(client->End(ctx.WithTimeout(kEndLimit), session.status()));
    return session.status();
  }
  const door::PumpOptions options = PumpOptionsOf(request, options_.idle_limit);
  const bool close = options.want_stdin && options.close_stdin;
  const StatusOr<door::PumpEnd> end =
      door::Pump(ctx, *client, *session, options);
  if (end.ok() && *end == door::PumpEnd::kOutputsEnded) {
    return client->End(ctx.WithTimeout(kEndLimit), std::nullopt);
  }
  const Status broken = BrokenOff(end);
  // It may have gone since.
  if (!broken.ok()) (void)client->End(EndContext(ctx), broken);
  // The end of an input that is given once, however it comes.
  if (close) {
    const Context last = Context::Background("stream").WithTimeout(kShimLimit);
    (void)session->CloseStdin(last);
  }
  return broken;
}

Status StreamingServer::Stream(const Context& ctx, door::HttpExchange& http,
                               const v1::PortForwardRequest& request) {
  std::vector<uint16_t> ports;
  for (const int port : request.port()) {
    ports.push_back(static_cast<uint16_t>(port));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<door::ForwardChannel> client,
                   door::OpenForwardChannel(http, ports, kMaxForwarded));
  door::ForwardOptions options;
  options.max_connections = kMaxForwarded;
  options.idle_limit = options_.idle_limit;
  const Status ended = door::Forward(
      ctx, *client,
      [&](int family) {
        return sandbox::PortSocket(inventory_, request.pod_sandbox_id(),
                                   family);
      },
      options);
  // It is the client who ends this.
  return ended.code() == StatusCode::kUnavailable ? OkStatus() : ended;
}

}  // namespace berth::cri
