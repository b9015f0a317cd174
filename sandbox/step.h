#ifndef SANDBOX_STEP_H_
#define SANDBOX_STEP_H_

#include <string>

#include "base/status.h"

namespace berth::sandbox {

// The boundary of a verb: the error of one of its inner steps, for the verb's
// caller. NOT_FOUND and ALREADY_EXISTS speak of the verb's own object, and
// kubelet takes NOT_FOUND for "it is gone": they never come from a step.
//
// `kAsked`: the step did what the request or the configuration asks for, and
// something that these name is missing: INVALID_ARGUMENT. `kOurs`: the step was
// our own: FAILED_PRECONDITION. All other codes stay.
enum class StepOf { kAsked, kOurs };
Status StepError(const Status& status, const std::string& doing,
                 StepOf whose = StepOf::kOurs);

}  // namespace berth::sandbox

#endif  // SANDBOX_STEP_H_
