#ifndef DOOR_GRPC_ACCEPTOR_H_
#define DOOR_GRPC_ACCEPTOR_H_

#include <sys/types.h>

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
#include "door/listener.h"

namespace berth::door {

struct AcceptorOptions {
  // Connections that have not begun to speak HTTP/2; one more closes the one
  // that has waited longest.
  size_t max_waiting = 128;
  Duration handshake_limit = std::chrono::seconds(10);
  // Connections of the server. One more closes the oldest of the process that
  // has most, or is closed itself if no process has more than its share.
  size_t max_connections = 1024;
  size_t share = 16;
};

// Accepts the connections of a gRPC server on a Unix socket. gRPC's own
// listener is not used: it stops for ever at the first accept that fails for
// want of a descriptor (tcp_server_posix.cc, on_read, of gRPC 1.51).
//
// A connection is handed over when the client's connection preface has come
// whole (RFC 9113, section 3.4). A copy of its descriptor is kept until the
// connection has ended, to count it and to end it. The limits are lowered to
// what RLIMIT_NOFILE leaves at the time, so that what else the process does
// keeps descriptors. If none is free all the same, connections wait.
//
// Thread-safe.
class Acceptor {
 public:
  // Takes a connected socket. Called on the acceptor's thread.
  using Take = std::function<void(UniqueFd)>;

  static StatusOr<std::unique_ptr<Acceptor>> Start(Listener listener,
                                                   AcceptorOptions options,
                                                   Take take);
  ~Acceptor();  // Stop
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Nothing is accepted or handed over when this has returned. What has been
  // handed over stays open.
  void Stop();

 private:
  struct Connection {
    UniqueFd socket;  // a copy, once `begun`
    pid_t process = 0;
    bool begun = false;
    EventLoop::TimerId limit = 0;  // of the handshake
  };
  // By the order of arrival.
  using Connections = std::map<uint64_t, Connection>;

  Acceptor(Listener listener, AcceptorOptions options, Take take);

  // All on the acceptor's thread.
  Status Watch();
  void Accept();
  void Receive(UniqueFd socket);
  void Look(uint64_t id);
  void HandOver(uint64_t id);
  void Close(uint64_t id);
  void CloseWaiting();
  bool CloseOfTheGreatest();

  Listener listener_;
  const AcceptorOptions options_;
  const Take take_;
  const Context root_;
  std::unique_ptr<EventLoop> loop_;
  Connections connections_;
  uint64_t next_id_ = 1;
  size_t begun_ = 0;
  Thread thread_;
};

}  // namespace berth::door

#endif  // DOOR_GRPC_ACCEPTOR_H_
