#ifndef SHIM_PROCESS_LOG_FAILURE_H_
#define SHIM_PROCESS_LOG_FAILURE_H_

#include <stdio.h>

#include <string>

#include "base/status.h"

namespace berth::shim {

// A line in the shim's log, its standard error; none for OK and NOT_FOUND.
inline void LogFailure(const std::string& what, const Status& status) {
  if (status.ok() || IsNotFound(status)) return;
  fprintf(stderr, "%s: %s\n", what.c_str(), Message(status).c_str());
}

}  // namespace berth::shim

#endif  // SHIM_PROCESS_LOG_FAILURE_H_
