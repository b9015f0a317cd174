// Errors as values. The one header that names absl's status type, and the one
// to rewrite should absl ever be dropped.
//
// Rules (docs/ARCHITECTURE.md, section 6): a message says what was being done
// to what, lower case, no full stop; each layer adds its part once, with
// Annotate; return an error or log it, never both.
#ifndef BASE_STATUS_H_
#define BASE_STATUS_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace berth {

// [[nodiscard]] comes with the type. Codes are gRPC's.
using Status = absl::Status;
using StatusCode = absl::StatusCode;
template <typename T>
using StatusOr = absl::StatusOr<T>;

inline Status OkStatus() { return absl::OkStatus(); }

// An error with a code of our choice: Error(StatusCode::kNotFound, "...").
Status Error(StatusCode code, const std::string& message);

Status InvalidArgument(const std::string& message);
Status NotFound(const std::string& message);
Status AlreadyExists(const std::string& message);
Status FailedPrecondition(const std::string& message);
Status Unimplemented(const std::string& message);
Status Unavailable(const std::string& message);
Status DeadlineExceeded(const std::string& message);
Status DataLoss(const std::string& message);
Status ResourceExhausted(const std::string& message);
Status Internal(const std::string& message);
Status Cancelled(const std::string& message);

// A failed system call: "<what>: <strerror(error)>". `what` names the call and
// the object. The code follows from `error`, which ErrnoOf gives back.
Status Errno(int error, const std::string& what);

// The errno that an error began with, through any Annotate; 0 if none.
int ErrnoOf(const Status& status);

// "<doing>: <message>", code and errno kept. OK stays OK.
Status Annotate(const Status& status, const std::string& doing);

// The message alone, without absl's code prefix.
std::string Message(const Status& status);

using absl::IsNotFound;

// A release or remove of what is not there has succeeded.
inline Status IgnoreNotFound(const Status& s) {
  return IsNotFound(s) ? OkStatus() : s;
}

}  // namespace berth

#define BERTH_CONCAT_INNER(a, b) a##b
#define BERTH_CONCAT(a, b) BERTH_CONCAT_INNER(a, b)

// Returns from the function if `expr` is an error.
#define RETURN_IF_ERROR(expr)                    \
  do {                                           \
    ::berth::Status berth_status = (expr);       \
    if (!berth_status.ok()) return berth_status; \
  } while (false)

// The same, with context: RETURN_IF_ERROR_AS(Mount(m), "mount " + m.target).
#define RETURN_IF_ERROR_AS(expr, doing)                                    \
  do {                                                                     \
    ::berth::Status berth_status = (expr);                                 \
    if (!berth_status.ok()) return ::berth::Annotate(berth_status, doing); \
  } while (false)

// ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path));
#define ASSIGN_OR_RETURN(lhs, expr) \
  ASSIGN_OR_RETURN_INNER(BERTH_CONCAT(berth_or_, __LINE__), lhs, expr)
#define ASSIGN_OR_RETURN_INNER(var, lhs, expr) \
  auto var = (expr);                           \
  if (!var.ok()) return var.status();          \
  lhs = *std::move(var)

// ASSIGN_OR_RETURN_AS(UniqueFd fd, OpenFile(path), "read configuration");
#define ASSIGN_OR_RETURN_AS(lhs, expr, doing) \
  ASSIGN_OR_RETURN_AS_INNER(BERTH_CONCAT(berth_or_, __LINE__), lhs, expr, doing)
#define ASSIGN_OR_RETURN_AS_INNER(var, lhs, expr, doing)        \
  auto var = (expr);                                            \
  if (!var.ok()) return ::berth::Annotate(var.status(), doing); \
  lhs = *std::move(var)

#endif  // BASE_STATUS_H_
