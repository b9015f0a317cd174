#include "shim/process/event_publisher.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <utility>

#include "api/shim/services/ttrpc/events/v1/events.pb.h"
#include "base/clock.h"
#include "base/strings.h"
#include "base/sys/socket.h"

namespace berth::shim {
namespace {

constexpr Duration kTryTime = std::chrono::seconds(5);
constexpr int kMaxFailures = 6;
constexpr size_t kMaxQueued = 1024;
constexpr char kService[] = "containerd.services.events.ttrpc.v1.Events";

std::string WithoutScheme(const std::string& address) {
  const std::string scheme = "unix://";
  return StartsWith(address, scheme) ? address.substr(scheme.size()) : address;
}

}  // namespace

EventPublisher::EventPublisher(EventLoop& loop, std::string address,
                               std::string name_space)
    : loop_(loop),
      address_(WithoutScheme(address)),
      name_space_(std::move(name_space)) {}

EventPublisher::~EventPublisher() {
  Disconnect();
  loop_.CancelTimer(timer_);
}

void EventPublisher::Publish(const std::string& topic, const std::string& type,
                             const google::protobuf::MessageLite& event) {
  if (address_.empty()) return;
  if (queue_.size() >= kMaxQueued) {
    fprintf(stderr, "event %s is lost: the manager takes none\n",
            topic.c_str());
    return;
  }
  containerd::services::events::ttrpc::v1::ForwardRequest request;
  auto* envelope = request.mutable_envelope();
  const UnixNanos now = Now();
  envelope->mutable_timestamp()->set_seconds(now / 1'000'000'000);
  envelope->mutable_timestamp()->set_nanos(
      static_cast<int32_t>(now % 1'000'000'000));
  envelope->set_namespace_(name_space_);
  envelope->set_topic(topic);
  envelope->mutable_event()->set_type_url(type);
  envelope->mutable_event()->set_value(event.SerializeAsString());
  queue_.push_back({topic, request.SerializeAsString(), 0});
  if (!sending_ && queue_.size() == 1) Send();
}

void EventPublisher::Send() {
  if (queue_.empty() || sending_) return;
  sending_ = true;
  const auto begin = [&]() -> Status {
    if (!socket_.valid()) RETURN_IF_ERROR(Connect());
    CallOptions options;
    options.name_space = name_space_;
    options.timeout = kTryTime;
    ASSIGN_OR_RETURN(output_, EncodeRequest(next_stream_, kService, "Forward",
                                            queue_.front().payload, options));
    next_stream_ += 2;
    return loop_.Modify(socket_.get(), EPOLLIN | EPOLLOUT);
  };
  const Status begun = begin();
  // Reported from the loop, so that Publish is never entered from itself.
  timer_ = loop_.After(begun.ok() ? kTryTime : Duration(0), [this, begun] {
    Failed(begun.ok() ? DeadlineExceeded("no answer") : begun);
  });
}

Status EventPublisher::Connect() {
  ASSIGN_OR_RETURN(socket_, ConnectUnix(address_));
  parser_ = FrameParser();
  next_stream_ = 1;
  Status ready = SetNonBlocking(socket_.get());
  if (ready.ok()) {
    ready = loop_.Add(socket_.get(), EPOLLIN,
                      [this](uint32_t events) { OnSocket(events); });
  }
  if (!ready.ok()) socket_.reset();
  return ready;
}

void EventPublisher::Disconnect() {
  if (socket_.valid()) loop_.Remove(socket_.get());
  socket_.reset();
}

void EventPublisher::OnSocket(uint32_t events) {
  const Status status = Exchange(events);
  if (status.ok()) return;
  Disconnect();
  if (sending_) Failed(status);
}

Status EventPublisher::Exchange(uint32_t events) {
  if ((events & EPOLLOUT) != 0) {
    const ssize_t n =
        send(socket_.get(), output_.data(), output_.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) return Errno(errno, "send");
    if (n > 0) output_.erase(0, static_cast<size_t>(n));
    if (output_.empty()) {
      RETURN_IF_ERROR(loop_.Modify(socket_.get(), EPOLLIN));
    }
  }
  if ((events & ~static_cast<uint32_t>(EPOLLOUT)) == 0) return OkStatus();
  char bytes[1024];
  const ssize_t n = recv(socket_.get(), bytes, sizeof(bytes), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return OkStatus();
  if (n < 0) return Errno(errno, "receive");
  if (n == 0) return Unavailable("the manager closed the connection");
  parser_.Feed({bytes, static_cast<size_t>(n)});
  while (std::optional<Frame> frame = parser_.Next()) {
    if (frame->type != kResponseFrame || frame->stream + 2 != next_stream_) {
      continue;  // the late answer to a try that was given up
    }
    if (!sending_) continue;
    const StatusOr<std::string> answer = DecodeResponse(frame->data);
    if (answer.ok()) {
      Sent();
    } else {
      Failed(answer.status());
    }
  }
  return OkStatus();
}

void EventPublisher::Sent() {
  loop_.CancelTimer(timer_);
  sending_ = false;
  queue_.pop_front();
  Send();
}

void EventPublisher::Failed(const Status& why) {
  loop_.CancelTimer(timer_);
  Disconnect();
  Pending& event = queue_.front();
  const int failures = ++event.failures;
  if (failures >= kMaxFailures) {
    fprintf(stderr, "event %s is lost: %s\n", event.topic.c_str(),
            Message(why).c_str());
    queue_.pop_front();
    sending_ = false;
    timer_ = loop_.After(Duration(0), [this] { Send(); });
    return;
  }
  timer_ = loop_.After(std::chrono::seconds(failures - 1), [this] {
    sending_ = false;
    Send();
  });
}

}  // namespace berth::shim
