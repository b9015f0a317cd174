#ifndef DOOR_CALL_FRAME_H_
#define DOOR_CALL_FRAME_H_

#include <functional>
#include <string>
#include <utility>

#include "base/contain.h"
#include "base/context.h"
#include "base/status.h"
#include "door/request_log.h"

namespace berth::door {

// What every request of either door has around it: its context, an end for
// exceptions, and its line in the log. Single-threaded, except that anyone may
// cancel the context.
class CallFrame {
 public:
  // `method` and `object`: see RequestLog.
  CallFrame(const RequestLog& log, Context context, std::string method,
            std::string object)
      : context_(std::move(context)),
        record_(log, std::move(method), context_.request_id(),
                std::move(object)) {}

  const Context& context() const { return context_; }
  // What the answer says the request was about; empty: nothing new.
  void SetObject(std::string object) { record_.SetObject(std::move(object)); }

  // Runs the body, unless the client has gone before. An exception that leaves
  // it is this request's error.
  Status Run(const std::function<Status()>& body) const {
    return Contain([&]() -> Status {
      RETURN_IF_ERROR(context_.Check());
      return body();
    });
  }
  // The line.
  void Finish(const Status& status) { record_.Finish(status); }

 private:
  const Context context_;
  RequestRecord record_;
};

}  // namespace berth::door

#endif  // DOOR_CALL_FRAME_H_
