#ifndef SHIM_NAMES_FORWARD_H_
#define SHIM_NAMES_FORWARD_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/io/event_loop.h"
#include "base/unique_fd.h"
#include "shim/names/dns_message.h"

namespace berth::shim {

// One query on its way to other name servers, one after another, each for a
// bounded time. Single-threaded.
class Forward {
 public:
  // `done` hears once, not before Start returns: the answer with the query's
  // own id, or a failure of our own. It may destroy this.
  Forward(EventLoop& loop, std::string message, DnsQuery query,
          std::vector<std::string> servers, bool tcp,
          std::function<void(std::string answer)> done)
      : loop_(loop),
        message_(std::move(message)),
        query_(std::move(query)),
        servers_(std::move(servers)),
        tcp_(tcp),
        done_(std::move(done)) {}
  ~Forward() { Close(); }
  Forward(const Forward&) = delete;
  Forward& operator=(const Forward&) = delete;

  void Start();

 private:
  void Next();
  bool Ask(const std::string& server);
  void Handle(uint32_t events);
  bool Send();
  void Receive();
  void Take(std::string answer);
  void Finish();
  void Close();

  EventLoop& loop_;
  const std::string message_;
  const DnsQuery query_;
  const std::vector<std::string> servers_;
  const bool tcp_;
  const std::function<void(std::string)> done_;
  size_t next_ = 0;
  uint16_t sent_id_ = 0;
  std::string to_send_;
  std::string received_;
  std::string best_;  // a failure that a server told
  UniqueFd socket_;
  EventLoop::TimerId timer_ = 0;
};

}  // namespace berth::shim

#endif  // SHIM_NAMES_FORWARD_H_
