#include "sandbox/step.h"

namespace berth::sandbox {

Status StepError(const Status& status, const std::string& doing, StepOf whose) {
  if (status.ok()) return status;
  const bool mistaken = status.code() == StatusCode::kNotFound ||
                        status.code() == StatusCode::kAlreadyExists;
  if (!mistaken) return Annotate(status, doing);
  const std::string message = doing + ": " + Message(status);
  return whose == StepOf::kAsked ? InvalidArgument(message)
                                 : FailedPrecondition(message);
}

}  // namespace berth::sandbox
