#ifndef DOOR_REQUEST_LOG_H_
#define DOOR_REQUEST_LOG_H_

#include <string>
#include <utility>

#include "base/clock.h"
#include "base/status.h"
#include "door/request_counts.h"

namespace berth::door {

// The lines of one door, one for each finished request:
//
//   cri method=StartContainer request=0123456789ab object=4f... ms=23.1
//   outcome=OK
//   docker method=POST object=/v1.50/containers/web/start ms=23.1 outcome=OK
//
// and with error="..." at the end for one that failed. Nothing else of a
// request is ever logged: they carry secrets (AuthConfig, environments).
// Immutable.
class RequestLog {
 public:
  // `queries`: also those that only ask, when they succeed.
  // `counts`: where each request is counted as well; may be null, else it must
  // outlive this.
  RequestLog(std::string door, bool queries, RequestCounts* counts = nullptr)
      : door_(std::move(door)), queries_(queries), counts_(counts) {}
  const std::string& door() const { return door_; }
  bool queries() const { return queries_; }
  RequestCounts* counts() const { return counts_; }

 private:
  const std::string door_;
  const bool queries_;
  RequestCounts* const counts_;
};

// One request, from its begin to its line. Single-threaded.
class RequestRecord {
 public:
  // `request_id` may be empty.
  RequestRecord(const RequestLog& log, std::string method,
                std::string request_id, std::string object);

  // What the answer says the request was about; empty: nothing new.
  void SetObject(std::string object);
  void Finish(const Status& status);

 private:
  const RequestLog& log_;
  const std::string method_;
  const std::string request_id_;
  std::string object_;
  const UnixNanos begin_;
};

// What a request or an answer is about: the id in it, a pod's or a
// container's name before it has one, an image's name. Any message will do.
template <typename Message>
std::string ObjectOf(const Message& message) {
  if constexpr (requires { message.container_id().size(); }) {
    return message.container_id();
  } else if constexpr (requires { message.pod_sandbox_id().size(); }) {
    return message.pod_sandbox_id();
  } else if constexpr (requires { message.config().metadata().namespace_(); }) {
    return message.config().metadata().namespace_() + "/" +
           message.config().metadata().name();
  } else if constexpr (requires { message.image().image().size(); }) {
    return message.image().image();
  } else {
    return "";
  }
}

}  // namespace berth::door

#endif  // DOOR_REQUEST_LOG_H_
