#include "shim/runtime_choice.h"

#include "shim/runtime_cli.h"

namespace berth::shim {

std::shared_ptr<Runtime> MakeRuntime(EventLoop& loop, Reaper& reaper,
                                     const RuntimeOptions& options,
                                     const std::string& scratch) {
  RuntimeOptions chosen = options;
  if (chosen.program.empty()) chosen.program = "berth-oci";
  return std::make_shared<RuntimeCli>(loop, reaper, chosen, scratch);
}

}  // namespace berth::shim
