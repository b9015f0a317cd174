#ifndef DOOR_HTTP_TCP_FRONT_H_
#define DOOR_HTTP_TCP_FRONT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "base/clock.h"
#include "base/context.h"
#include "base/io/event_loop.h"
#include "base/status.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "door/http/tls_files.h"
#include "door/http/tls_relay.h"
#include "door/listener.h"

namespace berth::door {

struct TcpFrontOptions {
  // Connections with TLS; one more closes the one that has been longest without
  // proving who it is, or is closed itself. Lowered to what RLIMIT_NOFILE
  // leaves.
  size_t max_connections = 256;
  Duration handshake_limit = std::chrono::seconds(10);
  // Of a client that takes no byte, once the server has closed its end.
  Duration write_patience = std::chrono::minutes(1);
};

// Accepts TCP connections for an HttpServer. With TLS, one thread carries the
// bytes of all connections between their sockets and the server's plain ones;
// only clients with a certificate of the authority get that far.
//
// Thread-safe.
class TcpFront {
 public:
  // Takes a connection, such as HttpServer::Take. Called on the front's thread.
  using Take = std::function<void(UniqueFd)>;

  // Without `tls`, connections are handed on as they are.
  static StatusOr<std::unique_ptr<TcpFront>> Start(
      Listener listener, std::unique_ptr<TlsReloader> tls,
      TcpFrontOptions options, Take take);
  ~TcpFront();  // Stop
  TcpFront(const TcpFront&) = delete;
  TcpFront& operator=(const TcpFront&) = delete;

  // Closes the listener and every connection with TLS. Best after the server
  // has shut down, which ends what it answers.
  void Stop();

 private:
  TcpFront(Listener listener, std::unique_ptr<TlsReloader> tls,
           TcpFrontOptions options, Take take);

  // All on the front's thread.
  Status Watch();
  void Accept();
  void Begin(UniqueFd socket);
  bool CloseHandshaking();

  Listener listener_;
  const std::unique_ptr<TlsReloader> tls_;
  const TcpFrontOptions options_;
  const Take take_;
  const Context root_;
  std::unique_ptr<EventLoop> loop_;
  std::map<uint64_t, std::unique_ptr<TlsRelay>> relays_;  // oldest first
  uint64_t next_id_ = 1;
  Thread thread_;
};

}  // namespace berth::door

#endif  // DOOR_HTTP_TCP_FRONT_H_
