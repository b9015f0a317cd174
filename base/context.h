#ifndef BASE_CONTEXT_H_
#define BASE_CONTEXT_H_

#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"

namespace berth {

// What a request carries from the door to the last blocking call: who asks
// (an id for the log), until when, and whether the caller has gone away.
//
// Passed as `const Context&`, first argument. Copies share the cancellation.
// Thread-safe.
class Context {
 public:
  // No deadline, never cancelled: for work that no request waits for.
  static Context Background(std::string request_id = "background");

  // A narrower copy: the earlier of both deadlines.
  Context WithTimeout(Duration timeout) const;
  Context WithDeadline(SteadyTime deadline) const;
  // A copy that `Cancel` on it (or on its copies) cancels, besides the parent.
  Context WithCancel() const;

  const std::string& request_id() const { return request_id_; }
  std::optional<SteadyTime> deadline() const { return deadline_; }

  // Time left, at most `limit`; never negative.
  Duration Remaining(Duration limit) const;

  // OK, DEADLINE_EXCEEDED or CANCELLED.
  Status Check() const;

  // Waits on `changed`, with `mutex` held, until `holds()`. DEADLINE_EXCEEDED
  // or CANCELLED if the context ends before; whoever cancels it wakes the
  // wait.
  template <typename Predicate>
  Status Await(Mutex& mutex, CondVar& changed, Predicate holds) const
      REQUIRES(mutex) {
    if (changed.Await(mutex, stop_token(), deadline_, holds)) return OkStatus();
    return Check();
  }

  // Wakes every Await, and everything that polls `cancel_fd`.
  void Cancel() const;
  bool cancelled() const;
  // Becomes readable when cancelled; -1 for a background context. Owned by
  // the context: valid while a copy of it lives.
  int cancel_fd() const;

 private:
  class Cancellation;
  std::stop_token stop_token() const;
  explicit Context(std::string request_id);

  std::string request_id_;
  std::optional<SteadyTime> deadline_;
  std::shared_ptr<Cancellation> cancellation_;
};

}  // namespace berth

#endif  // BASE_CONTEXT_H_
