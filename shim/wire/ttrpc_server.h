#ifndef SHIM_WIRE_TTRPC_SERVER_H_
#define SHIM_WIRE_TTRPC_SERVER_H_

#include <google/protobuf/message_lite.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/io/event_loop.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "shim/wire/ttrpc.h"

namespace berth::shim {

class TtrpcConnection;

// Where the answer to one call goes: now, or whenever it is known. The first
// answer counts; without one the caller waits. Copies share the call. Nothing
// happens when the caller has gone. Single-threaded.
class Responder {
 public:
  Responder(std::weak_ptr<TtrpcConnection> connection, uint32_t stream)
      : connection_(std::move(connection)), stream_(stream) {}

  void Fail(const Status& error) const { Answer(error); }
  void Send(const google::protobuf::MessageLite& message) const {
    Answer(message.SerializeAsString());
  }
  // With no content: google.protobuf.Empty.
  void Send(const Status& status) const {
    if (status.ok()) return Answer(std::string());
    Fail(status);
  }
  // False once it is of no use to answer.
  bool alive() const;

 private:
  void Answer(const StatusOr<std::string>& payload) const;

  std::weak_ptr<TtrpcConnection> connection_;
  uint32_t stream_;
};

struct TtrpcCall {
  std::string service;
  std::string method;
  std::string payload;
  Duration timeout{0};  // 0: none; what is left unanswered ends by itself
};

// The answering side: all connections to one socket, on an event loop. Peers
// of another user than ours are turned away. Single-threaded.
class TtrpcServer {
 public:
  using Service = std::function<void(const TtrpcCall&, const Responder&)>;

  TtrpcServer(EventLoop& loop, UniqueFd listener);
  ~TtrpcServer();
  TtrpcServer(const TtrpcServer&) = delete;
  TtrpcServer& operator=(const TtrpcServer&) = delete;

  // By full name: "containerd.task.v3.Task".
  void Add(const std::string& name, Service service);
  Status Listen();
  // No more connections; those there are stay.
  void StopListening();
  // Writes out what is queued, as far as the peers take it.
  void Flush();

 private:
  friend class TtrpcConnection;
  void Accept();
  void Drop(int fd);
  void Dispatch(const ttrpc::Request& request, const Responder& responder);

  EventLoop& loop_;
  UniqueFd listener_;
  std::map<std::string, Service> services_;
  std::map<int, std::shared_ptr<TtrpcConnection>> connections_;
};

}  // namespace berth::shim

#endif  // SHIM_WIRE_TTRPC_SERVER_H_
