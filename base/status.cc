#include "base/status.h"

#include <cerrno>
#include <cstring>

#include "absl/strings/cord.h"
#include "absl/types/optional.h"

namespace berth {
namespace {

constexpr char kErrnoPayload[] = "berth/errno";

StatusCode CodeOf(int error) {
  switch (error) {
    case ENOENT:
    case ESRCH:
    case ENXIO:
      return StatusCode::kNotFound;
    case EEXIST:
      return StatusCode::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return StatusCode::kPermissionDenied;
    case EINVAL:
    case ERANGE:
    case EDOM:
    case ENAMETOOLONG:
    case E2BIG:
      return StatusCode::kInvalidArgument;
    case EBUSY:
    case EISDIR:
    case ENOTDIR:
    case ENOTEMPTY:
    case ELOOP:
    case EXDEV:
      return StatusCode::kFailedPrecondition;
    case ENOSPC:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case EDQUOT:
      return StatusCode::kResourceExhausted;
    case ENOSYS:
    case EOPNOTSUPP:
      return StatusCode::kUnimplemented;
    case EAGAIN:
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case EHOSTUNREACH:
    case ENETUNREACH:
      return StatusCode::kUnavailable;
    case ETIMEDOUT:
      return StatusCode::kDeadlineExceeded;
    case ECANCELED:
      return StatusCode::kCancelled;
    default:
      return StatusCode::kInternal;
  }
}

}  // namespace

Status Error(StatusCode code, const std::string& message) {
  return Status(code, message);
}
Status InvalidArgument(const std::string& message) {
  return Status(StatusCode::kInvalidArgument, message);
}
Status NotFound(const std::string& message) {
  return Status(StatusCode::kNotFound, message);
}
Status AlreadyExists(const std::string& message) {
  return Status(StatusCode::kAlreadyExists, message);
}
Status FailedPrecondition(const std::string& message) {
  return Status(StatusCode::kFailedPrecondition, message);
}
Status Unimplemented(const std::string& message) {
  return Status(StatusCode::kUnimplemented, message);
}
Status Unavailable(const std::string& message) {
  return Status(StatusCode::kUnavailable, message);
}
Status DeadlineExceeded(const std::string& message) {
  return Status(StatusCode::kDeadlineExceeded, message);
}
Status DataLoss(const std::string& message) {
  return Status(StatusCode::kDataLoss, message);
}
Status ResourceExhausted(const std::string& message) {
  return Status(StatusCode::kResourceExhausted, message);
}
Status Internal(const std::string& message) {
  return Status(StatusCode::kInternal, message);
}
Status Cancelled(const std::string& message) {
  return Status(StatusCode::kCancelled, message);
}

Status Errno(int error, const std::string& what) {
  char text[128];
  // The GNU form, which may return a constant instead of filling `text`.
  Status status(CodeOf(error),
                what + ": " + strerror_r(error, text, sizeof(text)));
  status.SetPayload(kErrnoPayload, absl::Cord(std::to_string(error)));
  return status;
}

int ErrnoOf(const Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kErrnoPayload);
  if (!payload.has_value()) return 0;
  return std::stoi(std::string(*payload));
}

Status Annotate(const Status& status, const std::string& doing) {
  if (status.ok()) return status;
  Status annotated(status.code(), doing + ": " + Message(status));
  status.ForEachPayload(
      [&annotated](absl::string_view type, const absl::Cord& payload) {
        annotated.SetPayload(type, payload);
      });
  return annotated;
}

std::string Message(const Status& status) {
  return std::string(status.message());
}

}  // namespace berth
