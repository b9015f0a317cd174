#include "sandbox/step.h"

#include "base/error/word.h"

namespace berth::sandbox {

Status StepError(const Status& status, const std::string& doing, StepOf whose) {
  if (status.ok()) return status;
  const bool mistaken = status.code() == StatusCode::kNotFound ||
                        status.code() == StatusCode::kAlreadyExists;
  if (!mistaken) return Annotate(status, doing);
  const StatusCode code = whose == StepOf::kAsked
                              ? StatusCode::kInvalidArgument
                              : StatusCode::kFailedPrecondition;
  const Status mended(code, doing + ": " + Message(status));
  const std::string word = WordOf(status);
  return word.empty() ? mended : WithWord(mended, word);
}

}  // namespace berth::sandbox
