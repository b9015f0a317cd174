#ifndef SHIM_SERVICE_STREAMS_SERVICE_H_
#define SHIM_SERVICE_STREAMS_SERVICE_H_

#include <map>
#include <memory>
#include <string>

#include "base/io/event_loop.h"
#include "base/status.h"
#include "shim/process/stdio.h"
#include "shim/wire/ttrpc_server.h"

namespace berth::shim {

// berth.shim.v1.Streams and containerd's Events: what berth-shim does for the
// containers of another shim beside it. The streams of each are here, from the
// fifos that the other shim writes to: its log, and those who attach. A log
// goes on without a daemon, as this process does. Single-threaded.
class StreamsService {
 public:
  explicit StreamsService(EventLoop& loop) : loop_(loop) {}

  void Register(TtrpcServer& server);

 private:
  struct Entry {
    std::string bundle;
    std::shared_ptr<ProcessStdio> stdio;
  };

  void Handle(const TtrpcCall& call, const Responder& reply);
  void Open(const TtrpcCall& call, const Responder& reply);
  void Attach(const TtrpcCall& call, const Responder& reply);
  void ReopenLog(const TtrpcCall& call, const Responder& reply);
  void CloseInput(const TtrpcCall& call, const Responder& reply);
  void Close(const TtrpcCall& call, const Responder& reply);
  void Forward(const TtrpcCall& call, const Responder& reply);
  StatusOr<std::shared_ptr<ProcessStdio>> Find(const std::string& id) const;

  EventLoop& loop_;
  std::map<std::string, Entry> entries_;  // by container
};

}  // namespace berth::shim

#endif  // SHIM_SERVICE_STREAMS_SERVICE_H_
