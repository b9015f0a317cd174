#ifndef SHIM_PROCESS_EVENT_PUBLISHER_H_
#define SHIM_PROCESS_EVENT_PUBLISHER_H_

#include <google/protobuf/message_lite.h>

#include <deque>
#include <memory>
#include <string>

#include "base/io/event_loop.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "shim/wire/ttrpc.h"

namespace berth::shim {

// Tells the manager what happens: Events.Forward on its ttrpc socket, one call
// after the other, so that order is kept.
//
// A call gets 5 s. One that fails is tried again on a new connection, then
// after 1, 2, 3 .. s, at most 5 times; then the event is dropped with a line
// in the log. The queue is bounded in the same way. Without an address nothing
// is sent. Single-threaded.
class EventPublisher {
 public:
  EventPublisher(EventLoop& loop, std::string address, std::string name_space);
  ~EventPublisher();
  EventPublisher(const EventPublisher&) = delete;
  EventPublisher& operator=(const EventPublisher&) = delete;

  // `type` is the event's full name, "containerd.events.TaskExit".
  void Publish(const std::string& topic, const std::string& type,
               const google::protobuf::MessageLite& event);
  bool idle() const { return queue_.empty(); }

 private:
  struct Pending {
    std::string topic;
    std::string payload;  // ForwardRequest
    int failures = 0;
  };

  void Send();
  Status Connect();
  void Disconnect();
  void OnSocket(uint32_t events);
  Status Exchange(uint32_t events);
  void Failed(const Status& why);
  void Sent();

  EventLoop& loop_;
  const std::string address_;
  const std::string name_space_;
  std::deque<Pending> queue_;
  UniqueFd socket_;
  FrameParser parser_;
  std::string output_;
  uint32_t next_stream_ = 1;
  bool sending_ = false;
  EventLoop::TimerId timer_ = 0;
};

}  // namespace berth::shim

#endif  // SHIM_PROCESS_EVENT_PUBLISHER_H_
