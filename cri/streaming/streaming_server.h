#ifndef CRI_STREAMING_STREAMING_SERVER_H_
#define CRI_STREAMING_STREAMING_SERVER_H_

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"
#include "cri/streaming/stream_tokens.h"
#include "door/http/http_server.h"
#include "door/http/tcp_front.h"
#include "door/http/tls_relay.h"
#include "door/request_counts.h"
#include "door/request_log.h"
#include "door/stream/channel.h"
#include "door/stream/command_channel.h"
#include "door/stream_places.h"
#include "sandbox/container_streams.h"
#include "sandbox/inventory.h"

namespace berth::cri {

struct StreamingOptions {
  std::string address;                // "IP:port"; port 0: the kernel's choice
  std::optional<door::TlsFiles> tls;  // without: plain HTTP
  Duration idle_limit = std::chrono::hours(4);
  size_t streams = 1024;  // open at the same time
  // Counts the requests, if it is not null; must outlive the server.
  door::RequestCounts* counts = nullptr;
};

// Where the clients of Exec, Attach and PortForward get their streams: an HTTP
// server, and addresses that are good for one visit.
//
// Each open stream has a thread. Clients that have come and have not opened
// their streams are few: a further one ends the oldest.
//
// Thread-safe.
class StreamingServer {
 public:
  // The inventory must outlive it.
  StreamingServer(StreamingOptions options, sandbox::ContainerStreams streams,
                  const sandbox::Inventory& inventory);
  ~StreamingServer();
  StreamingServer(const StreamingServer&) = delete;
  StreamingServer& operator=(const StreamingServer&) = delete;

  Status Listen();
  // "http://127.0.0.1:port"; after Listen.
  const std::string& base_url() const { return base_url_; }
  // The address for this request; RESOURCE_EXHAUSTED if too many wait.
  StatusOr<std::string> UrlFor(StreamRequest request);
  // Ends every stream. The processes of an Exec that do not read go on.
  void Shutdown();

 private:
  using Channel = std::unique_ptr<door::StreamChannel>;

  void Serve(const Context& ctx, door::HttpExchange& http);
  Status Stream(const Context& ctx, door::HttpExchange& http,
                const v1::ExecRequest& request);
  Status Stream(const Context& ctx, door::HttpExchange& http,
                const v1::AttachRequest& request);
  Status Stream(const Context& ctx, door::HttpExchange& http,
                const v1::PortForwardRequest& request);
  StatusOr<Channel> Open(const Context& ctx, door::HttpExchange& http,
                         const door::CommandStreams& streams);

  const StreamingOptions options_;
  const sandbox::ContainerStreams streams_;
  const sandbox::Inventory& inventory_;
  const door::RequestLog log_;
  StreamTokens tokens_;
  door::StreamPlaces opening_;
  std::string base_url_;
  door::HttpServer server_;
  std::unique_ptr<door::TcpFront> front_;
};

}  // namespace berth::cri

#endif  // CRI_STREAMING_STREAMING_SERVER_H_
