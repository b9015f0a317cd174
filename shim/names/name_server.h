#ifndef SHIM_NAMES_NAME_SERVER_H_
#define SHIM_NAMES_NAME_SERVER_H_

#include <netinet/in.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/io/event_loop.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "shim/names/forward.h"
#include "shim/names/name_table.h"

namespace berth::shim {

// Answers the names of a sandbox's networks inside of it, on 127.0.0.11:41053
// by UDP and TCP; the daemon has port 53 sent there. All else is asked of other
// servers, from the namespace that this process is in, and passed on as it is.
//
// Bounded: so many queries and connections at a time; a query beyond them is
// answered with a failure. Single-threaded.
class NameServer {
 public:
  struct Limits {
    size_t forwards = 256;
    size_t connections = 32;
    Duration connection_time = std::chrono::seconds(10);
  };

  // `netns`: path of the sandbox's namespace; `names`: see NameTable.
  static StatusOr<std::unique_ptr<NameServer>> Start(EventLoop& loop,
                                                     const std::string& netns,
                                                     std::string names);
  ~NameServer();
  NameServer(const NameServer&) = delete;
  NameServer& operator=(const NameServer&) = delete;

 private:
  struct Connection;
  using Reply = std::function<void(std::string answer)>;

  NameServer(EventLoop& loop, std::string names, UniqueFd udp, UniqueFd tcp);
  Status Watch();
  void ReadUdp();
  void Accept();
  void Serve(std::string message, bool tcp, const Reply& reply);
  // Nothing: somebody else has to be asked.
  std::optional<std::string> Answer(std::string_view message,
                                    const DnsQuery& query, size_t limit);
  void HandleConnection(uint64_t number, uint32_t events);
  // Whether it is still there.
  bool ReadConnection(Connection& connection);
  void NextQuery(uint64_t number);
  void Send(uint64_t number, const std::string& answer);
  void CloseConnection(uint64_t number);

  EventLoop& loop_;
  const Limits limits_;
  NameTable names_;
  UniqueFd udp_;
  UniqueFd tcp_;
  uint64_t last_number_ = 0;
  std::map<uint64_t, std::unique_ptr<Forward>> forwards_;
  std::map<uint64_t, std::unique_ptr<Connection>> connections_;
};

}  // namespace berth::shim

#endif  // SHIM_NAMES_NAME_SERVER_H_
