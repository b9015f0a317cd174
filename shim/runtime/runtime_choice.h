#ifndef SHIM_RUNTIME_RUNTIME_CHOICE_H_
#define SHIM_RUNTIME_RUNTIME_CHOICE_H_

#include <memory>
#include <string>

#include "base/io/event_loop.h"
#include "shim/process/reaper.h"
#include "shim/process/runtime.h"

namespace berth::shim {

// The runtime that the options ask for: a program, or ours. `scratch`: a
// folder for short-lived files.
std::shared_ptr<Runtime> MakeRuntime(EventLoop& loop, Reaper& reaper,
                                     const RuntimeOptions& options,
                                     const std::string& scratch);

}  // namespace berth::shim

#endif  // SHIM_RUNTIME_RUNTIME_CHOICE_H_
